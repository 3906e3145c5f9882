/** The language of this document: the one chosen here, else the first that the browser asks for and we have. */

export const LANGUAGES = ["en", "fr"] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = "posthouse-language";

function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden; then the browser's own wish is all there is.
    return null;
  }
}

function known(tag: string | null): Language | undefined {
  const primary = tag?.toLowerCase().split("-")[0];
  return LANGUAGES.find((language) => language === primary);
}

/** Stays as it is while the document lives, so that formats are made once. */
export const language: Language =
  known(chosen()) ?? navigator.languages.map(known).find((one) => one !== undefined) ?? "en";

/** How numbers and dates are written. */
export const locale = language === "en" ? "en-GB" : language;

/** Keeps the choice and starts the document anew in it. */
export function speak(wanted: Language): void {
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    return;
  }
  window.location.reload();
}
