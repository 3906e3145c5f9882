/** Short names for the API's shapes; all of them are generated from docs/openapi.json. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Account = Schemas["Account"];
export type SmtpSettings = Schemas["SmtpSettings"];
export type MessageSummary = Schemas["MessageSummary"];
export type Message = Schemas["Message"];
export type Recipient = Schemas["Recipient"];
export type Attempt = Schemas["Attempt"];
export type Content = Schemas["Content"];
export type Domain = Schemas["Domain"];
export type DomainRecord = Schemas["DomainRecord"];
export type SecondStep = Schemas["SecondStep"];
export type NewApp = Schemas["NewAppView"];
export type Passkey = Schemas["Passkey"];
export type Session = Schemas["Session"];
export type Scope = Schemas["ScopeName"];
export type Role = Schemas["RoleName"];
export type User = Schemas["User"];
export type UserInvitation = Schemas["UserInvitation"];
export type AuditLine = Schemas["AuditLine"];
export type Key = Schemas["Key"];
export type NewKey = Schemas["NewKey"];
export type Lane = Schemas["Lane"];
export type Queue = Schemas["Queue"];
export type InboxItem = Schemas["InboxItem"];
export type Credential = Schemas["Credential"];
export type SmtpCredential = Schemas["SmtpCredential"];
export type NewSmtpCredential = Schemas["NewSmtpCredential"];
export type CreateSmtpCredential = Schemas["CreateSmtpCredential"];
export type SmtpPassword = Schemas["SmtpPassword"];
export type SignInAttempt = Schemas["SignInAttempt"];
export type Lockout = Schemas["Lockout"];
export type LedgerEntry = Schemas["LedgerEntry"];
export type SendMessage = Schemas["SendMessage"];
