/** The words about opens and clicks, and what may be tracked, in French. */
import type { Shape } from "..";
import type { tracking as english } from "../en/tracking";

export const tracking: Shape<typeof english> = {
  mayTrack: {
    title: "Suivi",
    hint: "Un message demande ce qui en est suivi, sinon son flux le fait. Son domaine et le compte ne font que retirer, pour le courrier accepté ensuite.",
    help: "Comment fonctionne le suivi",
    account: "Le courrier de ce compte peut être suivi",
    accountHint: "Désactivé, rien n’est suivi, quoi que disent les messages, les flux et les domaines.",
    accountOn: "Les messages, les flux et les domaines décident de ce qui est suivi",
    accountOff: "Plus rien n’est suivi",
    domainHint:
      "Un message demande ce qui en est suivi, sinon son flux le fait. Ce qui est désactivé ici n’est pas suivi dans le courrier de ce domaine, qui que ce soit qui le demande.",
    domainHintOff:
      "Le compte a désactivé le suivi ; rien n’est donc suivi. Ce qui est choisi ici comptera quand il sera réactivé.",
    opens: "Les ouvertures peuvent être suivies",
    clicks: "Les clics peuvent être suivis",
    domainChanged: "Le suivi de {{name}} est modifié",
  },
  tracking: {
    title: "Ouvertures et clics",
    intro:
      "Ce que les gens ont fait de vos messages, là où ils sont suivis. Ce qu’ont fait les analyseurs et les logiciels qui chargent d’avance est à part et n’est pas compté.",
    help: "Ce qui est compté",
    allStreams: "Tous les flux",
    stream: "Flux",
    period: "Période",
    days: "{{n}} jours",
    byDay: "Jour par jour",
    clients: "Lu avec",
    countries: "Lu en",
    day: "Jour (UTC)",
    client: "Logiciel",
    country: "Pays",
    openers: "Ouvert par",
    clickers: "Liens suivis par",
    opens: "Ouvertures",
    clicks: "Clics",
    machines: "Par des machines",
    emptyTitle: "Rien n’a été ouvert ni suivi pendant ce temps",
    emptyHint:
      "Les messages sont suivis si leur flux le dit ou si le message le demande par le champ d’en-tête X-Posthouse-Track.",
    names: {
      gmail: "Gmail",
      yahoo: "Yahoo Mail",
      outlook: "Outlook",
      thunderbird: "Thunderbird",
      samsung_email: "Samsung Email",
      apple_mail: "Apple Mail",
      edge: "Edge",
      opera: "Opera",
      samsung: "Samsung Internet",
      firefox: "Firefox",
      chrome: "Chrome",
      safari: "Safari",
      other: "Autre chose",
    },
  },
};
