//! Runs rows of numbers from standard input through a frozen network, from Rust.
//!
//!     rustc --edition 2021 -O predict.rs -L folder_of_libfastnn.a && ./predict net.fnn < rows.csv

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::io::Read;

// What fastnn.h declares, as far as it is used here.
#[repr(C)]
struct Net {
    image: *const c_void,
    bytes: usize,
    mapped: c_int,
}
#[repr(C)]
struct Port {
    name: *const c_char,
    floats: i64,
    axes: c_int,
    shape: [i64; 6],
}
#[link(name = "fastnn", kind = "static")]
#[link(name = "m")]
extern "C" {
    fn fastnn_message(status: c_int) -> *const c_char;
    fn fastnn_open_file(path: *const c_char, net: *mut Net) -> c_int;
    fn fastnn_close(net: *mut Net);
    fn fastnn_input(net: *const Net, number: c_int, port: *mut Port) -> c_int;
    fn fastnn_output(net: *const Net, number: c_int, port: *mut Port) -> c_int;
    fn fastnn_memory(net: *const Net, max_rows: i64) -> usize;
    fn fastnn_bind(net: *const Net, memory: *mut c_void, bytes: usize, max_rows: i64, session: *mut *mut c_void)
        -> c_int;
    fn fastnn_run(session: *mut c_void, x: *const f32, rows: i64, y: *mut f32) -> c_int;
}

fn check(status: c_int) -> Result<(), String> {
    match status {
        0 => Ok(()),
        _ => Err(unsafe { CStr::from_ptr(fastnn_message(status)) }.to_string_lossy().into_owned()),
    }
}

/// A network of one input and one output, and the memory that it runs in.
struct Network {
    net: Net,
    session: *mut c_void,
    input: Port,
    output: Port,
    _memory: Vec<u8>,
}

impl Network {
    fn open(path: &str, max_rows: i64) -> Result<Network, String> {
        let path = CString::new(path).map_err(|error| error.to_string())?;
        unsafe {
            let mut net: Net = std::mem::zeroed();
            check(fastnn_open_file(path.as_ptr(), &mut net))?;
            let mut memory = vec![0u8; fastnn_memory(&net, max_rows)];
            let mut session = std::ptr::null_mut();
            let (mut input, mut output): (Port, Port) = (std::mem::zeroed(), std::mem::zeroed());
            check(fastnn_bind(&net, memory.as_mut_ptr().cast(), memory.len(), max_rows, &mut session))?;
            check(fastnn_input(&net, 0, &mut input))?;
            check(fastnn_output(&net, 0, &mut output))?;
            Ok(Network { net, session, input, output, _memory: memory })
        }
    }

    /// `&mut`, as a session belongs to one thread at a time.
    fn predict(&mut self, x: &[f32]) -> Result<Vec<f32>, String> {
        let rows = x.len() as i64 / self.input.floats;
        let mut y = vec![0f32; (rows * self.output.floats) as usize];
        check(unsafe { fastnn_run(self.session, x.as_ptr(), rows, y.as_mut_ptr()) })?;
        Ok(y)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        unsafe { fastnn_close(&mut self.net) }
    }
}

fn main() -> Result<(), String> {
    let path = std::env::args().nth(1).ok_or("usage: predict net.fnn < rows.csv")?;
    let mut network = Network::open(&path, 64)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let numbers = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let x: Vec<f32> = numbers.map(str::parse).collect::<Result<_, _>>().map_err(|error| format!("{error}"))?;
    let y = network.predict(&x)?;
    for row in y.chunks(network.output.floats as usize) {
        println!("{}", row.iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
