//! Whom applications with https are believed by: the system's authorities, which both of Pingora's clients read.

use std::path::Path;

use pingora::connectors::ConnectorOptions;
use pingora::server::configuration::ServerConf;
use vestibule_wasmtime::system_roots_file;

/// Pingora's settings, with the file of the authorities where the system has one.
pub fn server_conf() -> ServerConf {
    ServerConf { ca_file: system_roots_file().and_then(Path::to_str).map(str::to_owned), ..ServerConf::default() }
}

/// The same for a client by itself.
pub fn connector_options() -> ConnectorOptions {
    ConnectorOptions::from_server_conf(&server_conf())
}
