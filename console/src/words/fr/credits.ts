/** The words about credits and the vouchers that bring them, in French. */
import type { Shape } from "..";
import type { credits as english } from "../en/credits";

export const credits: Shape<typeof english> = {
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
      "Les propriétaires et les administrateurs du compte reçoivent un message à 20 %, à 5 %, et quand il n’en reste plus.",
    gone: "SMTP répond 452, ce qui veut dire plus tard : les serveurs et beaucoup de programmes gardent leurs messages et réessaient. L’API répond 402 et ne garde rien. D’autres viennent d’un bon ou d’un exploitant.",
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
    voucher: "Utiliser un bon",
    code: "Code",
    needCode: "Saisissez le code.",
    redeem: "Utiliser",
    redeemed_one: "{{n}} crédit ajouté",
    redeemed_other: "{{n}} crédits ajoutés",
    lowGone: "Les crédits sont épuisés : SMTP répond 452 et l’API 402 jusqu’à ce qu’il y en ait d’autres.",
  },
  vouchers: {
    title: "Bons",
    intro:
      "Des codes qui apportent des crédits à qui les utilise. Chaque compte peut utiliser un code une fois.",
    create: "Créer des bons",
    reason: "Raison",
    reasonHint: "Figure dans le relevé de qui en utilise un.",
    amount: "Crédits",
    amountHint: "Pour chaque compte qui utilise un code.",
    codes: "Codes",
    codesHint: "1 000 à la fois au plus.",
    uses: "Utilisations de chaque code",
    usesHint: "Combien de comptes peuvent utiliser le même code.",
    until: "Dernier jour",
    untilHint: "Laissé vide, ils valent sans fin.",
    used: "Utilisés",
    usedOf: "{{used}} sur {{all}}",
    ends: "Jusqu’au",
    forGood: "Sans fin",
    created: "Créés",
    revoke: "Révoquer",
    isRevoked: "Révoqués",
    revokeTitle: "Révoquer « {{reason}} » ?",
    revokeText_one:
      "Le code ({{n}}) de ce lot est refusé dès maintenant. Les crédits déjà obtenus restent. C’est définitif.",
    revokeText_other:
      "Les {{n}} codes de ce lot sont refusés dès maintenant. Les crédits déjà obtenus restent. C’est définitif.",
    revoked: "« {{reason}} » : révoqué",
    once_one: "C’est la seule fois que le code ({{n}}) est montré",
    once_other: "C’est la seule fois que les {{n}} codes sont montrés",
    onceHint:
      "Enregistrez-les maintenant. Seules leurs empreintes sont gardées ici ; on n’en tire pas les codes.",
    save: "Enregistrer en fichier texte",
    done: "Je les ai",
    needReason: "Dites pourquoi.",
    needNumber: "Combien ?",
    emptyTitle: "Aucun bon pour le moment",
    emptyHint:
      "Créez des codes à distribuer, à vendre ou à imprimer. Qui en saisit un sur la page Crédits a ses crédits aussitôt.",
  },
};
