//! The headers of commands and queries: `Idempotency-Key`, `If-Match`, `Consistency-Token`.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use factline_core::{Token, Version};
use http::{HeaderMap, header, request::Parts};
use utoipa::{
    IntoParams,
    openapi::{
        ObjectBuilder, Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

use crate::Problem;

/// As the column that stores it and every peer's limit.
const MAX_KEY_BYTES: usize = 255;

/// A caller has at most one token per partition of a topic that it wrote to; more than this is no
/// honest caller.
const MAX_TOKENS: usize = 64;

/// `Idempotency-Key`, quoted or bare: 1 to 255 visible ASCII characters. Required; an
/// `Option<IdempotencyKey>` may be absent but not malformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

impl IdempotencyKey {
    fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = single(headers, "idempotency-key")? else { return Ok(None) };
        let key = unquoted(text);
        let is_visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(is_visible) {
            return Ok(Some(Self(key.to_owned())));
        }
        Err(malformed("idempotency-key", "1 to 255 visible ASCII characters, quoted or bare"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::read(&parts.headers)?.ok_or_else(|| {
            let detail = "this request needs an Idempotency-Key header";
            Problem::bad_request("missing_idempotency_key", detail)
                .error("Idempotency-Key", "is required")
        })
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        Self::read(&parts.headers)
    }
}

/// `If-Match`: the version that the caller saw, `"7"` or `7`. Take it as `Option<IfMatch>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Version);

impl<S: Send + Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        let Some(text) = single(&parts.headers, header::IF_MATCH.as_str())? else {
            return Ok(None);
        };
        let digits = unquoted(text);
        let version = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        let version = version.ok_or_else(|| malformed("if-match", "one version, such as \"7\""))?;
        Ok(Some(Self(Version(version))))
    }
}

/// `Consistency-Token`: what the answer must already show. None, one, or several, separated by
/// commas or in several headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsistencyTokens(pub Vec<Token>);

impl ConsistencyTokens {
    /// The header's name.
    pub const HEADER: &str = "Consistency-Token";
}

impl IntoParams for ConsistencyTokens {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let parameter = ParameterBuilder::new()
            .name(Self::HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("of the caller's own commands"))
            .schema(Some(text));
        vec![parameter.build()]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ConsistencyTokens {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let refused = || {
            malformed("consistency-token", "tokens as commands answer them, separated by commas")
        };
        let mut tokens = Vec::new();
        for value in parts.headers.get_all(Self::HEADER) {
            for text in value.to_str().map_err(|_| refused())?.split(',') {
                tokens.push(text.trim().parse().map_err(|_| refused())?);
            }
        }
        if tokens.len() > MAX_TOKENS { Err(refused()) } else { Ok(Self(tokens)) }
    }
}

/// The only value of a header, if it is there.
fn single<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if values.next().is_none() => Ok(Some(text.trim())),
        Ok(_) | Err(_) => Err(malformed(name, "one value of visible ASCII characters")),
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn malformed(header: &'static str, wanted: &str) -> Problem {
    let detail = format!("the header {header} must be {wanted}");
    Problem::bad_request("malformed_header", detail).error(header, "is malformed")
}
