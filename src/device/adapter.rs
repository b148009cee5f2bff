//! Adapters that wgpu finds.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use burn::tensor::{Device, DeviceKind};
use burn_wgpu::wgpu::{AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor};

/// A GPU, with its name for people.
pub(super) fn real() -> Option<(Device, String)> {
    let info = adapters().into_iter().find(|info| info.device_type != DeviceType::Cpu)?;
    Some(device(DeviceKind::DefaultDevice, &info))
}

/// Any adapter: where there is no GPU, one in software.
pub(super) fn any() -> Option<(Device, String)> {
    let info = adapters().into_iter().next()?;
    let kind = match info.device_type {
        DeviceType::Cpu => DeviceKind::Cpu,
        _ => DeviceKind::DefaultDevice,
    };
    Some(device(kind, &info))
}

fn device(kind: DeviceKind, info: &AdapterInfo) -> (Device, String) {
    (Device::wgpu(kind), format!("wgpu ({}, {})", info.name, info.backend))
}

/// Adapters that run compute shaders; none where no graphics library is installed.
fn adapters() -> Vec<AdapterInfo> {
    let backends = Backends::PRIMARY;
    let instance = Instance::new(InstanceDescriptor {
        backends,
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapters = ready(instance.enumerate_adapters(backends)).unwrap_or_default();
    adapters.iter().map(burn_wgpu::wgpu::Adapter::get_info).collect()
}

/// The result of a future that native graphics libraries complete at once.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
