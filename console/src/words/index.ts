/** Wires the words into i18next; the keys are checked by the compiler. */
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import { en } from "./en";
import { language } from "./language";

declare module "i18next" {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
    returnNull: false;
    strictKeyChecks: true;
  }
}

export type Shape<T> = T extends string ? string : { readonly [K in keyof T]: Shape<T[K]> };

/** What a language has to say: the keys of English, each with a text. */
export type Words = Shape<typeof en>;

async function load(): Promise<Words> {
  // Fetched by whoever reads it only.
  if (language === "fr") {
    const [{ fr }] = await Promise.all([import("./fr"), import("dayjs/locale/fr")]);
    return withMany(fr);
  }
  return en;
}

/** French counts whole millions in a form of their own ("un million de"), which our texts do not need. */
function withMany<T extends object>(words: T): T {
  const entries = Object.entries(words).flatMap(([key, value]) => {
    if (Array.isArray(value)) return [[key, value]];
    if (typeof value === "object") return [[key, withMany(value)]];
    return key.endsWith("_other")
      ? [
          [key, value],
          [key.replace(/_other$/, "_many"), value],
        ]
      : [[key, value]];
  });
  return Object.fromEntries(entries);
}

/** Settles once the words are there; nothing is drawn before. */
export const ready = load().then((words) => {
  document.documentElement.lang = language;
  return i18next.use(initReactI18next).init({
    lng: language,
    // The server writes what the service is called into the title of the document.
    resources: { [language]: { translation: { ...words, name: document.title || words.name } } },
    // React escapes what it shows.
    interpolation: { escapeValue: false },
    returnNull: false,
  });
});

export { i18next };
