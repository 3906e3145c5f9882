/** Addresses as people type them into one field: parted by commas, semicolons or line ends. */

export function addresses(typed: string): string[] {
  const found: string[] = [];
  let one = "";
  let quoted = false;
  for (const letter of typed) {
    if (letter === '"') quoted = !quoted;
    if (!quoted && /[,;\n]/.test(letter)) {
      found.push(one);
      one = "";
    } else {
      one += letter;
    }
  }
  found.push(one);
  return found.map((address) => address.trim()).filter((address) => address !== "");
}
