//! Signing in and out with a browser, and the page for the first operator.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use eyrie_core::{Error, ErrorKind, model::Principal, name::UserName};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    PageAnswer,
    action::{checked, fields},
    layout::bare,
};
use crate::{
    api::sign_in,
    authentication::{SESSION_COOKIE, Stranger, VISIT_COOKIE, Visitor, check_form, cookie, form_token, forwarded_https, set_cookie},
    portal::Portal,
    problem::{Answer, Problem},
    setup::{SetupToken, random_text},
};

/// How long the browser keeps the session's cookie: as long as a session lasts.
const SESSION_SECONDS: u32 = 12 * 3600;
const VISIT_SECONDS: u32 = 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    csrf: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    csrf: String,
    setup: String,
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {
    csrf: String,
}

fn secure(portal: &Portal, headers: &HeaderMap) -> bool {
    portal.options.secure_cookies || forwarded_https(headers)
}

/// A page with a form, tied to the browser by a cookie of its own.
fn with_form(portal: &Portal, headers: &HeaderMap, make: impl FnOnce(&str) -> Html<String>) -> Answer<Response> {
    let visit = match cookie(headers, VISIT_COOKIE) {
        Some(visit) if visit.len() == 32 && visit.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => visit.to_owned(),
        _ => random_text()?,
    };
    let mut response = make(&form_token(&visit)).into_response();
    let set = set_cookie(VISIT_COOKIE, &visit, VISIT_SECONDS, secure(portal, headers));
    response.headers_mut().extend(set.map(|set| (header::SET_COOKIE, set)));
    Ok(response)
}

fn check_visit(headers: &HeaderMap, sent: &str) -> Answer<()> {
    let visit = cookie(headers, VISIT_COOKIE).ok_or_else(Problem::cross_site)?;
    check_form(headers, visit, sent)
}

pub(super) async fn form(State(portal): State<Portal>, headers: HeaderMap) -> PageAnswer<Response> {
    if open_setup(&portal).await?.is_some() {
        return Ok(Redirect::to("/setup").into_response());
    }
    with_form(&portal, &headers, |token| sign_in_page(&portal, token, "", None))
}

fn sign_in_page(portal: &Portal, token: &str, name: &str, refused: Option<&Problem>) -> Html<String> {
    bare(
        &format!("Sign in · {}", portal.options.title),
        html! {
            h1 { (portal.options.title) }
            form.stack method="post" action="/login" {
                (alert(refused))
                input type="hidden" name="csrf" value=(token);
                label for="name" { "Name" }
                input #name name="name" value=(name) autocomplete="username" autocapitalize="none" required autofocus;
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button { "Sign in" }
            }
            details {
                summary { "Sign in with a session token" }
                form.stack method="post" action="/login" {
                    input type="hidden" name="csrf" value=(token);
                    label for="token" { "Token" }
                    input #token name="token" type="password" autocomplete="off" placeholder="eys_…" required;
                    button { "Sign in" }
                }
            }
        },
    )
}

fn alert(refused: Option<&Problem>) -> Markup {
    html! { @if let Some(problem) = refused { p.alert role="alert" { (problem.detail) } } }
}

pub(super) async fn submit(State(portal): State<Portal>, from: Stranger, request: Request) -> PageAnswer<Response> {
    let headers = request.headers().clone();
    let form: SignIn = fields(request, &portal).await?;
    check_visit(&headers, &form.csrf)?;
    let entered = if form.token.is_empty() {
        enter(&portal, &headers, from, &form.name, form.password).await
    } else {
        enter_with_token(&portal, &headers, form.token.trim()).await
    };
    match entered {
        Ok(response) => Ok(response),
        Err(problem) => {
            let mut response = with_form(&portal, &headers, |token| sign_in_page(&portal, token, &form.name, Some(&problem)))?;
            problem.dress(&mut response);
            Ok(response)
        }
    }
}

/// Signs in and sets the cookie.
async fn enter(portal: &Portal, headers: &HeaderMap, from: Stranger, name: &str, password: String) -> Answer<Response> {
    let (secret, _) = sign_in(portal, from, name, password, "frontend").await?;
    Ok(inside(portal, headers, secret.reveal()))
}

/// Takes a session that was opened elsewhere, for instance on the server's own terminal.
async fn enter_with_token(portal: &Portal, headers: &HeaderMap, token: &str) -> Answer<Response> {
    match portal.eyrie.authenticate(token).await? {
        Principal::User { .. } => Ok(inside(portal, headers, token)),
        _ => Err(Error::new(ErrorKind::Unauthenticated, "sign in", "the token is not a session's").into()),
    }
}

/// To the overview, with the session's cookie.
fn inside(portal: &Portal, headers: &HeaderMap, session: &str) -> Response {
    let mut response = Redirect::to("/").into_response();
    let secure = secure(portal, headers);
    for set in [set_cookie(SESSION_COOKIE, session, SESSION_SECONDS, secure), set_cookie(VISIT_COOKIE, "", 0, secure)].into_iter().flatten()
    {
        response.headers_mut().append(header::SET_COOKIE, set);
    }
    response
}

pub(super) async fn leave(State(portal): State<Portal>, visitor: Visitor, request: Request) -> PageAnswer<Response> {
    let headers = request.headers().clone();
    let form: Leave = fields(request, &portal).await?;
    checked(&headers, &form.csrf)?;
    visitor.acting.sign_out().await?;
    let mut response = Redirect::to("/login").into_response();
    response.headers_mut().extend(set_cookie(SESSION_COOKIE, "", 0, secure(&portal, &headers)).map(|set| (header::SET_COOKIE, set)));
    Ok(response)
}

/// The token that opens the setup page, while there is one and no account.
async fn open_setup(portal: &Portal) -> Answer<Option<&SetupToken>> {
    match portal.options.setup.as_ref().filter(|setup| !setup.is_used()) {
        Some(setup) if !portal.eyrie.has_users().await? => Ok(Some(setup)),
        _ => Ok(None),
    }
}

pub(super) async fn setup_form(State(portal): State<Portal>, headers: HeaderMap) -> PageAnswer<Response> {
    open_setup(&portal).await?.ok_or_else(Problem::not_found)?;
    with_form(&portal, &headers, |token| setup_page(token, "", None))
}

fn setup_page(token: &str, name: &str, refused: Option<&Problem>) -> Html<String> {
    bare(
        "The first operator",
        html! {
            h1 { "The first operator" }
            p { "The server printed a setup token when it started. Whoever has it makes the first account." }
            form.stack method="post" action="/setup" {
                (alert(refused))
                input type="hidden" name="csrf" value=(token);
                label for="setup" { "Setup token" }
                input #setup name="setup" type="password" autocomplete="off" required autofocus;
                label for="name" { "Your name" }
                input #name name="name" value=(name) autocomplete="username" autocapitalize="none" required;
                label for="password" { "A password of at least 10 characters" }
                input #password name="password" type="password" autocomplete="new-password" minlength="10" required;
                button { "Make the account" }
            }
        },
    )
}

pub(super) async fn setup_submit(State(portal): State<Portal>, from: Stranger, request: Request) -> PageAnswer<Response> {
    let headers = request.headers().clone();
    let setup = open_setup(&portal).await?.ok_or_else(Problem::not_found)?;
    let form: Setup = fields(request, &portal).await?;
    check_visit(&headers, &form.csrf)?;
    match begin(&portal, setup, &form).await {
        Ok(()) => Ok(enter(&portal, &headers, from, &form.name, form.password).await?),
        Err(problem) => {
            let mut response = with_form(&portal, &headers, |token| setup_page(token, &form.name, Some(&problem)))?;
            problem.dress(&mut response);
            Ok(response)
        }
    }
}

async fn begin(portal: &Portal, setup: &SetupToken, form: &Setup) -> Answer<()> {
    // Nobody guesses 192 bits, however often.
    if !setup.fits(&form.setup) {
        return Err(Problem::unauthenticated("the setup token is wrong"));
    }
    portal.eyrie.create_first_operator(UserName::new(form.name.clone())?, form.password.clone()).await?;
    setup.use_up();
    tracing::info!("the first operator was made");
    Ok(())
}
