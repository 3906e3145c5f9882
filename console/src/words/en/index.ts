/** Every word of the console, in English. Another language is another folder of this shape. */
import { account } from "./account";
import { credits } from "./credits";
import { frame } from "./frame";
import { hooks } from "./hooks";
import { operator } from "./operator";
import { security } from "./security";
import { sending } from "./sending";
import { statistics } from "./statistics";
import { suppressions } from "./suppressions";
import { templates } from "./templates";
import { tracking } from "./tracking";
import { webhooks } from "./webhooks";

export const en = {
  ...frame,
  ...sending,
  ...account,
  ...security,
  ...credits,
  ...operator,
  ...statistics,
  ...suppressions,
  ...templates,
  ...tracking,
  ...webhooks,
  ...hooks,
} as const;
