//! Which packets of open TCP connections pass: one in [`SAMPLE`], drawn by their numbers.
//!
//! To draw a random number costs the kernel a call for each packet that somebody else waits for, and that is a seventh of all
//! that the filter costs. The numbers of a packet are new with every byte that either side sends, so that a mixture of them is as
//! good; and who repeats one packet, such as a keepalive, is drawn once the mixture is another one.

use super::super::program::{Label, Program, code};
use super::{HEADERS, Place, SAMPLE, SCRATCH};

/// Odd numbers without a pattern in their bits, as in MurmurHash3.
const MIX: [u32; 3] = [0x9e37_79b1, 0x85eb_ca6b, 0xc2b2_ae35];

/// Lets a segment through if it is drawn, and goes to `no` if not; `mixture` is any number.
pub(super) fn draw(program: &mut Program, place: Place, mixture: u32, no: Label) {
    // X holds it no longer where somebody looked behind it.
    if place.header.is_none() {
        program.push(code::LDX_HEADER, place.base);
    }
    place.word(program, 4);
    program.push(code::ST, SCRATCH);
    place.word(program, 8);
    program.push(code::MULTIPLY, MIX[0]);
    program.push(code::LDX_MEMORY, SCRATCH);
    program.push(code::ADD_X, 0);
    program.push(code::XOR, mixture);
    for factor in &MIX[1..] {
        program.push(code::MULTIPLY, *factor);
        program.push(code::TAX, 0);
        program.push(code::SHIFT_RIGHT, 15);
        program.push(code::XOR_X, 0);
    }
    program.jump_if(code::JUMP_SET, SAMPLE - 1, no);
    program.take(HEADERS);
}
