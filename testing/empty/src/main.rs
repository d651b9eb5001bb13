//! `pangaea-empty ADDRESS`: an axum server that reads the body of every request and answers 202.
//!
//! It is what `cargo xtask bench hub` measures the hub's stores against: nothing that checks a token and makes a file
//! durable can be faster.

use std::io;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

fn main() -> io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .ok_or_else(|| io::Error::other("say the address to listen on, such as 127.0.0.1:3001"))?;
    tokio::runtime::Runtime::new()?.block_on(serve(&address))
}

async fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    // As the hub does.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default());
    axum::serve(listener, Router::new().fallback(take)).await
}

async fn take(_body: Bytes) -> StatusCode {
    StatusCode::ACCEPTED
}
