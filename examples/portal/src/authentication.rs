//! Who asks: by bearer token (everything) or by session cookie (pages and event streams, never a write to the API).

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, HeaderValue, header, request::Parts},
};
use data_encoding::HEXLOWER;
use eyrie_core::{
    Acting,
    model::Principal,
    name::{Origin, RequestId, UserName},
    platform::SignInFrom,
};
use sha2::{Digest, Sha256};

use crate::{portal::Portal, problem::Problem, request::single, setup::same};

/// The cookie that holds a session's secret.
pub(crate) const SESSION_COOKIE: &str = "eyrie_session";
/// The cookie that ties the forms for signing in to the browser that loaded them.
pub(crate) const VISIT_COOKIE: &str = "eyrie_visit";
const FORM_LABEL: &str = "eyrie portal form v1\n";

/// Whoever proved who they are by bearer token.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Acting);

impl FromRequestParts<Portal> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let secret = bearer(&parts.headers)?.ok_or_else(|| Problem::unauthenticated("send Authorization: Bearer with a token"))?;
        Ok(Self(portal.acting(secret, &parts.extensions).await?))
    }
}

/// Whoever may ask what is deployed: by bearer token, one for discovery included.
#[derive(Debug)]
pub(crate) struct Discoverer(pub(crate) Acting);

impl FromRequestParts<Portal> for Discoverer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let secret = bearer(&parts.headers)?.ok_or_else(|| Problem::unauthenticated("send Authorization: Bearer with a token"))?;
        Ok(Self(portal.discovering(secret, &parts.extensions).await?))
    }
}

/// Whoever proved who they are by bearer token or by session cookie: for reading events.
#[derive(Debug)]
pub(crate) struct Follower(pub(crate) Acting);

impl FromRequestParts<Portal> for Follower {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Caller::from_request_parts(parts, portal).await.map(|caller| Self(caller.0));
        }
        Visitor::from_request_parts(parts, portal).await.map(|visitor| Self(visitor.acting))
    }
}

/// Somebody signed in with a browser.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) acting: Acting,
    pub(crate) name: UserName,
    /// What their forms carry.
    pub(crate) form_token: String,
}

impl FromRequestParts<Portal> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Problem> {
        let missing = || Problem::unauthenticated("sign in first");
        let secret = cookie(&parts.headers, SESSION_COOKIE).ok_or_else(missing)?;
        let acting = portal.acting(secret, &parts.extensions).await?;
        let Principal::User { name, .. } = acting.principal() else { return Err(missing()) };
        let name = name.clone();
        Ok(Self { acting, name, form_token: form_token(secret) })
    }
}

/// The bearer token, if there is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let wrong = || Problem::unauthenticated("the Authorization header is not of the form Bearer TOKEN");
    let Some(value) = single(headers, "authorization").map_err(|_| wrong())? else { return Ok(None) };
    let (scheme, secret) = value.split_once(' ').ok_or_else(wrong)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(secret.trim())) } else { Err(wrong()) }
}

/// The value of a cookie. Of two with the same name neither counts.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// A cookie that scripts cannot read; with an empty value it is deleted.
pub(crate) fn set_cookie(name: &str, value: &str, seconds: u32, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let seconds = if value.is_empty() { 0 } else { seconds };
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")).ok()
}

/// What a form carries: known only to pages that know the cookie.
pub(crate) fn form_token(secret: &str) -> String {
    HEXLOWER.encode(&Sha256::new().chain_update(FORM_LABEL).chain_update(secret).finalize())
}

/// Refuses a form that did not come from a page of this portal.
pub(crate) fn check_form(headers: &HeaderMap, secret: &str, sent: &str) -> Result<(), Problem> {
    check_same_site(headers)?;
    if same(sent, &form_token(secret)) { Ok(()) } else { Err(Problem::cross_site()) }
}

/// What the browser itself says of where the form came from. With `Referrer-Policy: no-referrer` browsers send `Origin: null` with
/// forms, so that alone says nothing.
fn check_same_site(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(site) = single(headers, "sec-fetch-site")? {
        return if matches!(site, "same-origin" | "none") { Ok(()) } else { Err(Problem::cross_site()) };
    }
    match single(headers, "origin")? {
        None | Some("null") => Ok(()),
        Some(origin) => {
            let origin = origin.split_once("://").map_or(origin, |(_, host)| host);
            let host = single(headers, "host")?.unwrap_or_default();
            if origin.eq_ignore_ascii_case(host) { Ok(()) } else { Err(Problem::cross_site()) }
        }
    }
}

/// Whether the request reached a proxy over TLS.
pub(crate) fn forwarded_https(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok()).is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}

/// The address of whoever opened the connection.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// Where a request comes from, as far as that is known of somebody who has not proved who they are.
#[derive(Debug)]
pub(crate) struct Stranger {
    address: Option<IpAddr>,
    request: Option<RequestId>,
}

impl Stranger {
    /// Signing in to that.
    pub(crate) fn to(self, origin: Origin) -> SignInFrom {
        SignInFrom { address: self.address, request: self.request, ..SignInFrom::new(origin) }
    }
}

impl FromRequestParts<Portal> for Stranger {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Problem> {
        Ok(Self { address: peer(&parts.extensions), request: parts.extensions.get().cloned() })
    }
}
