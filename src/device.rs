//! Where a predictor computes: chosen at run time, never by what was compiled in.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use burn::tensor::{Device, DeviceKind};
use burn_wgpu::wgpu;

/// What a user may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
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
    #[cfg(feature = "cuda")]
    Cuda,
}

/// No adapter for `--device wgpu`.
#[derive(Debug, thiserror::Error)]
#[error(
    "--device wgpu: no adapter found; install a Vulkan, Metal or DirectX driver, or use --device flex"
)]
pub struct NoAdapter;

/// The chosen device and its name for people, for example `flex (CPU)`.
pub fn choose(choice: DeviceChoice) -> Result<(Device, String), NoAdapter> {
    let adapters = match choice {
        DeviceChoice::Flex => Vec::new(),
        #[cfg(feature = "cuda")]
        DeviceChoice::Cuda => return Ok((Device::cuda(0), "cuda (NVIDIA GPU 0)".to_owned())),
        DeviceChoice::Auto | DeviceChoice::Wgpu => adapters(),
    };
    let real = adapters.iter().find(|adapter| adapter.device_type != wgpu::DeviceType::Cpu);
    let adapter = match choice {
        DeviceChoice::Wgpu => Some(real.or(adapters.first()).ok_or(NoAdapter)?),
        _ => real,
    };
    Ok(match adapter {
        None => (Device::flex(), "flex (CPU)".to_owned()),
        Some(info) => {
            let kind = match info.device_type {
                wgpu::DeviceType::Cpu => DeviceKind::Cpu,
                _ => DeviceKind::DefaultDevice,
            };
            (Device::wgpu(kind), format!("wgpu ({}, {})", info.name, info.backend))
        }
    })
}

/// The first device of each worker, by address (`ws://host:port`).
#[cfg(feature = "remote")]
pub fn workers(urls: &[String]) -> Result<Vec<Device>, Box<dyn std::error::Error + Send + Sync>> {
    use burn::remote::RemoteHost;
    let connect = |url: &String| {
        Device::remote_options(&RemoteHost::websocket(url))
            .init()
            .map_err(|error| format!("{url}: {error}; is `weightsmith worker` running?").into())
    };
    urls.iter().map(connect).collect()
}

/// Adapters that run compute shaders; none where no graphics library is installed.
fn adapters() -> Vec<wgpu::AdapterInfo> {
    let backends = wgpu::Backends::PRIMARY;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    ready(instance.enumerate_adapters(backends))
        .unwrap_or_default()
        .iter()
        .map(wgpu::Adapter::get_info)
        .collect()
}

/// The result of a future that native graphics libraries complete at once.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
