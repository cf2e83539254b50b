//! `--public-host` and `--allow-origin`: the host names of a listener, and the sites whose pages may call it.

use clap::Args;

use crate::http::{Admission, parse_name, parse_origin};
use crate::settings;

/// The names and sites from which a listener accepts requests, in addition to those of this machine.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ListenerNames {
    /// A host name for this server, in addition to localhost, IP addresses, this machine's name and
    /// host.docker.internal. Can be repeated.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    public_host: Vec<String>,
    /// A site whose web pages may call this server, such as https://app.example.com. Can be repeated.
    #[arg(long, value_name = "URL", value_parser = parse_origin)]
    allow_origin: Vec<String>,
}

impl ListenerNames {
    pub(super) fn admission(&self) -> Admission {
        let machine = settings::machine_name();
        Admission::new(machine.as_deref(), &self.public_host, &self.allow_origin)
    }
}
