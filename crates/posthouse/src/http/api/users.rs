//! The people of the account: who they are, what they may do, who is invited. Who belongs to it and as what is for people
//! to decide: a key, whose scopes are fewer than its user's role, would give its holder a role with all of them.

use accounts::{Role, Scope, User, UserInvitation};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::Parts;
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ApiResult, Problem};
use crate::http::json::{Body, Named, id};
use crate::http::paging::Page;

pub fn routes() -> OpenApiRouter<Parts> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(invitations, invite))
        .routes(routes!(send_again))
        .routes(routes!(withdraw))
        .routes(routes!(set_role))
        .routes(routes!(hand_over))
        .routes(routes!(remove))
}

/// What a user of an account is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// The account is theirs: everything, other owners included.
    Owner,
    /// Everything but what concerns owners.
    Admin,
    /// Sends, and looks after what was sent.
    Marketer,
    /// Sends, connects programs and domains.
    Developer,
    /// Looks, and sends by SMTP with the own login.
    Viewer,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Marketer => Self::Marketer,
            Role::Developer => Self::Developer,
            Role::Viewer => Self::Viewer,
        }
    }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Admin => Self::Admin,
            RoleName::Marketer => Self::Marketer,
            RoleName::Developer => Self::Developer,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

/// Somebody who signs in to the account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct UserView {
    id: String,
    /// Also the SMTP username.
    #[schema(example = "bob@example.com")]
    email: String,
    role: RoleName,
    #[schema(format = DateTime)]
    created_at: String,
    /// Whether this is who asks.
    you: bool,
}

impl UserView {
    fn of(user: User, caller: &Caller) -> Self {
        Self {
            you: caller.principal.login == Some(user.id),
            id: user.id.to_string(),
            email: user.email,
            role: user.role.into(),
            created_at: user.created_at.rfc3339(),
        }
    }
}

/// Somebody who is invited and has not come yet.
#[derive(Serialize, ToSchema)]
#[schema(as = UserInvitation)]
struct InvitationView {
    id: String,
    #[schema(example = "bob@example.com")]
    email: String,
    role: RoleName,
    /// The address of who invited; empty where it was the operator.
    invited_by: String,
    /// When the last mail was asked for.
    #[schema(format = DateTime)]
    sent_at: String,
    /// When its link stops working.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<UserInvitation> for InvitationView {
    fn from(invitation: UserInvitation) -> Self {
        Self {
            id: invitation.id.to_string(),
            email: invitation.email,
            role: invitation.role.into(),
            invited_by: invitation.invited_by,
            sent_at: invitation.sent_at.rfc3339(),
            expires_at: invitation.expires_at.rfc3339(),
        }
    }
}

/// List the users
#[utoipa::path(
    get, path = "/users", tag = "users", operation_id = "listUsers",
    responses((status = 200, description = "All users, the longest there first", body = Page<UserView>)),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn list(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<UserView>>> {
    caller.needs(Scope::Account)?;
    let users = parts.accounts.users(caller.account_id()).await?;
    let items = users
        .into_iter()
        .map(|user| UserView::of(user, &caller))
        .collect();
    Ok(Json(Page { items, next: None }))
}

/// List the invitations
///
/// Those who have not come yet. An address that has a login in another account stays here until the invitation is
/// withdrawn or old: only its owner is told.
#[utoipa::path(
    get, path = "/users/invitations", tag = "users", operation_id = "listUserInvitations",
    responses((status = 200, description = "All invitations, newest first", body = Page<InvitationView>)),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn invitations(State(parts): State<Parts>, caller: Caller) -> ApiResult<Json<Page<InvitationView>>> {
    caller.needs(Scope::Account)?;
    let invitations = parts.accounts.user_invitations(caller.account_id()).await?;
    let items = invitations.into_iter().map(InvitationView::from).collect();
    Ok(Json(Page { items, next: None }))
}

/// Somebody to be invited.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InviteUser {
    #[schema(example = "bob@example.com")]
    email: String,
    role: RoleName,
    /// The language of the mail, `en` or `fr`; your own without.
    language: Option<String>,
}

/// Invite a user
///
/// Mails the address a link that works once, for 7 days. Whoever follows it chooses a password of their own and is a user
/// of the account. The answer is the same whether or not the address has a login in another account.
#[utoipa::path(
    post, path = "/users/invitations", tag = "users", operation_id = "inviteUser", request_body = InviteUser,
    responses(
        (status = 201, description = "Invited", body = InvitationView),
        (status = 403, description = "Only an owner invites an owner", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The address is a user or invited already, or the account is full", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The address is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many invitations today", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["account"])),
)]
async fn invite(
    State(parts): State<Parts>,
    caller: Caller,
    Body(new): Body<InviteUser>,
) -> ApiResult<(StatusCode, Json<InvitationView>)> {
    caller.in_person(Scope::Account)?;
    let language = new.language.as_deref();
    if language.is_some_and(|language| !["en", "fr"].contains(&language)) {
        return Err(ApiError::invalid("language", "There are `en` and `fr`."));
    }
    let asked = (new.email.as_str(), Role::from(new.role));
    let invitation = parts
        .accounts
        .invite_user(caller.account_id(), asked, language, &caller.by())
        .await?;
    tracing::info!(invitation = %invitation.id, account = %caller.account_id(), "user invited");
    Ok((StatusCode::CREATED, Json(invitation.into())))
}

/// Send an invitation again
///
/// Up to three times a day. The links of earlier mails stop working.
#[utoipa::path(
    post, path = "/users/invitations/{id}/send", tag = "users", operation_id = "sendUserInvitation",
    params(("id" = String, Path, description = "The invitation")),
    responses(
        (status = 204, description = "On its way"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many today", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["account"])),
)]
async fn send_again(
    State(parts): State<Parts>,
    caller: Caller,
    Named(invitation): Named<String>,
) -> ApiResult<StatusCode> {
    caller.in_person(Scope::Account)?;
    let invitation = id(&invitation, "invitation")?;
    parts
        .accounts
        .send_user_invitation(caller.account_id(), invitation, &caller.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Withdraw an invitation
#[utoipa::path(
    delete, path = "/users/invitations/{id}", tag = "users", operation_id = "withdrawUserInvitation",
    params(("id" = String, Path, description = "The invitation")),
    responses(
        (status = 204, description = "Withdrawn; its link works no more"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = ["account"]), ("session" = [])),
)]
async fn withdraw(
    State(parts): State<Parts>,
    caller: Caller,
    Named(invitation): Named<String>,
) -> ApiResult<StatusCode> {
    caller.needs(Scope::Account)?;
    let invitation = id(&invitation, "invitation")?;
    parts
        .accounts
        .withdraw_user_invitation(caller.account_id(), invitation, &caller.by())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The role to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GiveRole {
    role: RoleName,
}

/// Give a user a role
///
/// It counts at once, on every node, for open sessions and for keys.
#[utoipa::path(
    post, path = "/users/{id}/role", tag = "users", operation_id = "setUserRole", request_body = GiveRole,
    params(("id" = String, Path, description = "The user")),
    responses(
        (status = 204, description = "Given"),
        (status = 403, description = "Only an owner makes and unmakes owners", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last owner", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["account"])),
)]
async fn set_role(
    State(parts): State<Parts>,
    caller: Caller,
    Named(user): Named<String>,
    Body(given): Body<GiveRole>,
) -> ApiResult<StatusCode> {
    caller.in_person(Scope::Account)?;
    let user = id(&user, "user")?;
    parts
        .accounts
        .set_role(caller.account_id(), user, given.role.into(), &caller.by())
        .await?;
    tracing::info!(%user, account = %caller.account_id(), "role given");
    Ok(StatusCode::NO_CONTENT)
}

/// Hand the account over
///
/// The user becomes an owner, and you, an owner, become an admin.
#[utoipa::path(
    post, path = "/users/{id}/hand-over", tag = "users", operation_id = "handAccountOver",
    params(("id" = String, Path, description = "The user")),
    responses(
        (status = 204, description = "Handed over"),
        (status = 403, description = "Only an owner can", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such other user", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["account"])),
)]
async fn hand_over(
    State(parts): State<Parts>,
    caller: Caller,
    Named(user): Named<String>,
) -> ApiResult<StatusCode> {
    caller.in_person(Scope::Account)?;
    let user = id(&user, "user")?;
    parts
        .accounts
        .hand_over(caller.account_id(), user, &caller.by())
        .await?;
    tracing::info!(%user, account = %caller.account_id(), "account handed over");
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a user
///
/// The login, its sessions, keys and credentials end at once, SMTP sessions at their next message. Messages stay.
#[utoipa::path(
    delete, path = "/users/{id}", tag = "users", operation_id = "removeUser",
    params(("id" = String, Path, description = "The user")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "Only an owner removes an owner", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last owner", body = Problem, content_type = "application/problem+json"),
    ),
    security(("session" = ["account"])),
)]
async fn remove(
    State(parts): State<Parts>,
    caller: Caller,
    Named(user): Named<String>,
) -> ApiResult<StatusCode> {
    caller.in_person(Scope::Account)?;
    let user = id(&user, "user")?;
    parts
        .accounts
        .remove_user(caller.account_id(), user, &caller.by())
        .await?;
    tracing::info!(%user, account = %caller.account_id(), "user removed");
    Ok(StatusCode::NO_CONTENT)
}
