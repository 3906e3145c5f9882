/** The words about opens and clicks, in French. */
import type { Shape } from "..";
import type { tracking as english } from "../en/tracking";

export const tracking: Shape<typeof english> = {
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
