/** The seam between a request that wants the password again and the dialog that asks for it. */

let ask: () => Promise<boolean> = () => Promise.resolve(false);
let asked: Promise<boolean> | undefined;

/** Says how to ask; the answer is whether the password was entered. */
export function askBy(how: () => Promise<boolean>): void {
  ask = how;
}

/** Resolves when the password was entered, or was not going to be. Requests that ask at once share one dialog. */
export function isFresh(): Promise<boolean> {
  asked ??= ask().finally(() => {
    asked = undefined;
  });
  return asked;
}
