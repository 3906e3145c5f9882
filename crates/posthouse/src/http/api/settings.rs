//! What a mail program has to be told to send through this installation.

use accounts::Scope;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::Caller;
use crate::http::error::ApiResult;
use crate::http::{Parts, Security};

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new().routes(routes!(smtp_settings))
}

/// SMTP settings for the caller.
#[derive(Serialize, ToSchema)]
struct SmtpSettings {
    #[schema(example = "mail.example.com")]
    hostname: String,
    /// The login address; the password is the login's password.
    #[schema(example = "alice@example.com")]
    username: String,
    ports: Vec<Port>,
    /// SASL mechanisms, offered under TLS only.
    #[schema(example = json!(["PLAIN", "LOGIN"]))]
    mechanisms: Vec<&'static str>,
    /// In bytes, attachments included as they travel.
    max_message_size: usize,
    /// Recipients of one message.
    max_recipients: usize,
    #[schema(required = true)]
    certificate: Option<Certificate>,
    /// What the account may send as: addresses, and `*@domain` for each verified domain.
    #[schema(example = json!(["alice@example.com", "*@shop.example"]))]
    senders: Vec<String>,
}

/// A port that takes mail.
#[derive(Serialize, ToSchema)]
struct Port {
    #[schema(example = 587)]
    port: u16,
    security: PortSecurity,
}

/// How the connection comes to be encrypted: by STARTTLS, or from the first byte.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PortSecurity {
    StartTls,
    Tls,
}

/// The certificate that the ports show.
#[derive(Serialize, ToSchema)]
struct Certificate {
    /// Nobody vouches for it: programs ask, or have to be told to trust it.
    self_signed: bool,
    fingerprint_sha256: String,
    #[schema(format = DateTime)]
    not_after: String,
    names: Vec<String>,
}

/// Read the SMTP settings
#[utoipa::path(
    get, path = "/settings/smtp", tag = "account", operation_id = "getSmtpSettings",
    responses((status = 200, description = "The settings", body = SmtpSettings)),
    security(("key" = ["account"]), ("key" = ["read"]), ("session" = [])),
)]
async fn smtp_settings(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<SmtpSettings>> {
    caller.reads(Scope::Account)?;
    let settings = &parts.settings;
    let port = |port: &crate::http::SmtpPort| Port {
        port: port.port,
        security: match port.security {
            Security::StartTls => PortSecurity::StartTls,
            Security::Tls => PortSecurity::Tls,
        },
    };
    let facts = parts.certificates.facts();
    Ok(Json(SmtpSettings {
        hostname: settings.hostname.clone(),
        username: caller.principal.email.clone(),
        ports: settings.smtp_ports.iter().map(port).collect(),
        mechanisms: settings.mechanisms.clone(),
        max_message_size: settings.max_message_size,
        max_recipients: settings.max_recipients,
        certificate: Some(Certificate {
            self_signed: facts.self_signed,
            fingerprint_sha256: facts.fingerprint_sha256.clone(),
            not_after: facts.not_after.rfc3339(),
            names: facts.names.clone(),
        }),
        senders: parts.accounts.senders(caller.account_id()).await?,
    }))
}
