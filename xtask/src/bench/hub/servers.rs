//! The servers that are measured: the hub, and the two that show what is possible.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::super::process::{Server, free_address};
use super::client::content;
use crate::setup::NGINX_PROGRAM;

/// Where the programs are, built for release.
pub struct Programs {
    /// The program of this workspace.
    pub pangaea: PathBuf,
    /// The server that only takes bodies.
    pub empty: PathBuf,
}

/// A server that runs, and where.
pub struct Running {
    /// The process.
    pub server: Server,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Running {
    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Programs {
    /// Starts a hub as it is by default, with pages of 1000 entries.
    pub fn hub(&self, folder: &Path) -> Result<Running> {
        let address = free_address()?;
        let mut command = Command::new(&self.pangaea);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PANGAEA_") {
                command.env_remove(name);
            }
        }
        command
            .arg("hub")
            .arg("--listen")
            .arg(address.to_string())
            .arg("--data")
            .arg(folder.join("hub"))
            .env("PANGAEA_HUB_LIMITS_PAGE_ENTRIES", "1000");
        let server = Server::start(&command, address, &folder.join("hub.log"))?;
        Ok(Running { server, address })
    }

    /// Starts the server that takes bodies and does nothing with them.
    pub fn empty(&self, folder: &Path) -> Result<Running> {
        let address = free_address()?;
        let mut command = Command::new(&self.empty);
        command.arg(address.to_string());
        let server = Server::start(&command, address, &folder.join("empty.log"))?;
        Ok(Running { server, address })
    }
}

/// Starts nginx on the same files that the hub has, under the same names.
pub fn nginx(folder: &Path, bucket: &str, files: u32) -> Result<Running> {
    let place = folder.join("nginx");
    let served = place.join("read").join(bucket).join("files");
    std::fs::create_dir_all(&served)?;
    for number in 0..files {
        std::fs::write(served.join(format!("{number:05}.txt")), content(number))?;
    }
    let address = free_address()?;
    let file = place.join("nginx.conf");
    std::fs::write(&file, nginx_config(&place, address))?;
    let mut command = Command::new(NGINX_PROGRAM);
    command.arg("-c").arg(&file).arg("-p").arg(&place);
    command.arg("-e").arg(place.join("error.log"));
    let server = Server::start(&command, address, &folder.join("nginx.log"))?;
    Ok(Running { server, address })
}

/// nginx as one sets it up to serve files fast, with everything that it writes inside the folder.
fn nginx_config(place: &Path, address: SocketAddr) -> String {
    let place = place.display();
    // Else its workers would be somebody who may not read the files.
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    format!(
        "{user}
daemon off;
worker_processes auto;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    types {{ text/plain txt; }}
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen {address};
        root {place};
    }}
}}
"
    )
}
