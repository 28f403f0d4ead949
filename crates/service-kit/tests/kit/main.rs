//! The service kit from outside: sockets, settings files, a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has to end

mod http2_floods;
mod http_callers;
mod http_connections;
mod http_json;
mod http_requests;
mod logs;
mod settings;
mod support;
