/** The words about credits, in French. */
import type { Words } from ".";

export const creditWords: Pick<Words, "credits"> = {
  credits: {
    title: "Crédits",
    intro:
      "Un crédit est un destinataire accepté, en À, en Cc ou en Cci indifféremment. Ce qui est refusé ne coûte rien.",
    balance: "Ce qui reste",
    left_one: "{{n}} crédit restant",
    left_other: "{{n}} crédits restants",
    mark: "sur {{n}} après le dernier octroi",
    bar: "Il reste {{percent}} % des crédits",
    mailed:
      "Toutes les personnes qui se connectent à ce compte reçoivent un message à 20 %, à 5 %, et quand il n’en reste plus.",
    gone: "SMTP répond 452, ce qui veut dire plus tard : les serveurs et beaucoup de programmes gardent leurs messages et réessaient. L’API répond 402 et ne garde rien. Un exploitant peut en accorder d’autres.",
    unlimited: "Ce compte n’a pas de limite, rien n’est donc compté.",
    list: "Relevé",
    listHint:
      "Ce qui est venu, ligne par ligne ; ce qui est parti, jour par jour, en UTC. Chaque ligne dit ce qui restait ensuite.",
    what: "Quoi",
    when: "Jour",
    amount: "Crédits",
    leftAfter: "Reste",
    reason: "Raison",
    kinds: {
      usage: "Destinataires acceptés",
      opening: "Crédits de départ",
      grant: "Accordés par l’exploitant",
      correction: "Repris par l’exploitant",
      voucher: "Bon utilisé",
    },
    emptyTitle: "Rien n’a encore été accordé ni utilisé",
    emptyHint: "Chaque jour où des messages ont été acceptés apparaît ici avec ce qu’il a coûté.",
    low: "Il reste {{n}} crédits sur {{mark}}.",
    lowGone: "Les crédits sont épuisés : SMTP répond 452 et l’API 402 jusqu’à ce qu’il y en ait d’autres.",
  },
};
