//! The `weightsmith` binary.

/// Tensors come and go by the megabyte; the system's allocator would map and unmap every one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    weightsmith::cli::main()
}
