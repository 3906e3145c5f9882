/** The roles, from the one that may most to the one that may least. */
export const ROLES = ["owner", "admin", "developer", "marketer", "viewer"] as const;
