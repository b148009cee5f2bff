//! Where a predictor computes: chosen at run time among the backends that this build has.

#[cfg(feature = "wgpu")]
mod adapter;

use std::str::FromStr;

use burn::tensor::Device;

/// What a user may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// A real GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU, in pure Rust.
    Flex,
    /// The best adapter wgpu finds, a software one included.
    Wgpu,
    /// The first NVIDIA GPU.
    Cuda,
}

impl DeviceChoice {
    /// Every choice with its name, whether this build has it or not.
    pub const ALL: [(&str, Self); 4] =
        [("auto", Self::Auto), ("flex", Self::Flex), ("wgpu", Self::Wgpu), ("cuda", Self::Cuda)];
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let choice = Self::ALL.iter().find(|(own, _)| *own == name);
        choice.map(|(_, choice)| *choice).ok_or_else(|| DeviceError::Unknown(name.to_owned()))
    }
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not the name of a choice.
    #[error("'{0}' is no device; choose auto, flex, wgpu or cuda")]
    Unknown(String),
    /// No adapter for wgpu.
    #[error(
        "--device wgpu: no adapter found; install a Vulkan, Metal or DirectX driver, or use --device flex"
    )]
    NoAdapter,
    /// The backend was left out of this build.
    #[error(
        "--device {0}: this build has no such backend; build with --features {0}, or use --device flex"
    )]
    NotBuilt(&'static str),
    /// A machine that lends its device does not answer.
    #[error("{url}: {problem}; is `weightsmith worker` running?")]
    Worker {
        /// Address, `ws://host:port`.
        url: String,
        /// What went wrong.
        problem: String,
    },
}

/// The chosen device and its name for people, for example `flex (CPU)`.
pub fn choose(choice: DeviceChoice) -> Result<(Device, String), DeviceError> {
    let cpu = || (Device::flex(), "flex (CPU)".to_owned());
    match choice {
        DeviceChoice::Flex => Ok(cpu()),
        #[cfg(feature = "wgpu")]
        DeviceChoice::Auto => Ok(adapter::real().unwrap_or_else(cpu)),
        #[cfg(not(feature = "wgpu"))]
        DeviceChoice::Auto => Ok(cpu()),
        #[cfg(feature = "wgpu")]
        DeviceChoice::Wgpu => adapter::real().or_else(adapter::any).ok_or(DeviceError::NoAdapter),
        #[cfg(not(feature = "wgpu"))]
        DeviceChoice::Wgpu => Err(DeviceError::NotBuilt("wgpu")),
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda => Ok((Device::cuda(0), "cuda (NVIDIA GPU 0)".to_owned())),
        #[cfg(not(feature = "cuda"))]
        DeviceChoice::Cuda => Err(DeviceError::NotBuilt("cuda")),
    }
}

/// The first device of each worker, by address (`ws://host:port`).
#[cfg(feature = "remote")]
pub fn workers(urls: &[String]) -> Result<Vec<Device>, DeviceError> {
    use burn::remote::RemoteHost;
    let connect = |url: &String| {
        Device::remote_options(&RemoteHost::websocket(url))
            .init()
            .map_err(|error| DeviceError::Worker { url: url.clone(), problem: error.to_string() })
    };
    urls.iter().map(connect).collect()
}
