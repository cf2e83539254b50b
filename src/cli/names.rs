//! `--public-host` and `--allow-origin`: by which names a listener may be addressed, and by whose pages.

use clap::Args;

use crate::http::{Admission, parse_name, parse_origin};
use crate::settings;

/// The names and sites that a listener takes requests for, besides those of this machine.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Names {
    /// A name that clients may call this server by, besides localhost, IP addresses, this machine's name and
    /// host.docker.internal; may be repeated.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    public_host: Vec<String>,
    /// A site whose web pages may call this server, such as https://app.example.com; may be repeated.
    #[arg(long, value_name = "URL", value_parser = parse_origin)]
    allow_origin: Vec<String>,
}

impl Names {
    pub(super) fn admission(&self) -> Admission {
        let machine = settings::machine_name();
        Admission::new(machine.as_deref(), &self.public_host, &self.allow_origin)
    }
}
