//! The raw limit of HTTP: an axum server that reads a body as JSON and answers it as JSON, with
//! axum's own accept loop and nothing around it.

use std::fs;
use std::path::Path;

use axum::serve::ListenerExt;
use axum::{Json, Router, routing::post};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::failure::Failure;

/// Serves until the process is killed. The path is that of a command, so that a request to one
/// server is, byte for byte, a request to the other.
///
/// # Errors
/// No address can be bound, or the file not be written.
pub(crate) async fn serve(address_file: &Path) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let draft = address_file.with_extension("draft");
    fs::write(&draft, format!("http={address}\n"))?;
    fs::rename(&draft, address_file)?;
    // Answers are small and complete: waiting to fill a packet only adds 40 ms.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let routes = Router::new().route("/inventory/{sku}/sales", post(echo));
    Ok(axum::serve(listener, routes).await?)
}

async fn echo(Json(body): Json<Value>) -> Json<Value> {
    Json(body)
}
