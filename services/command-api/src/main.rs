//! The write side's binary: see the library for what it is made of.

use std::process::ExitCode;

use command_api::CommandApi;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service_kit::run::<CommandApi>()
}
