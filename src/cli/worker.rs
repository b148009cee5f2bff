//! `weightsmith worker`

use burn::server::{RemoteServer, WebSocketTransport};
use clap::Args;

use crate::device::{self, DeviceChoice};

use super::{Common, Exit, Failure, device::device_parser};

/// Lend a device of this machine over a trusted network, until interrupted.
#[derive(Debug, Args)]
pub struct Worker {
    /// Port to listen on
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// The device to lend
    #[arg(long, default_value = "auto", value_parser = device_parser())]
    device: DeviceChoice,
}

impl Worker {
    pub(super) fn run(&self, _common: &Common) -> Result<Exit, Failure> {
        let (device, name) = device::choose(self.device)?;
        tracing::info!("lending {name} on port {}", self.port);
        RemoteServer::new([device]).serve(WebSocketTransport::new(self.port))?;
        Ok(Exit::Success)
    }
}
