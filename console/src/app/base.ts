/** Where the console lives on its server, without the slash at the end: "/app". */
export const BASE = import.meta.env.BASE_URL.replace(/\/$/, "");
