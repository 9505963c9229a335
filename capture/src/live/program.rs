//! A small assembler for the kernel's packet filters: classic BPF (linux/filter.h, bpf(4)).

/// One instruction, as the kernel takes it (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to step over where a condition holds.
    pub jt: u8,
    /// And where it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// What an instruction does; the accumulator is A, the index register X.
pub(super) mod code {
    pub(in super::super) const LD_WORD: u16 = 0x20;
    pub(in super::super) const LD_HALF: u16 = 0x28;
    pub(in super::super) const LD_BYTE: u16 = 0x30;
    pub(in super::super) const LD_WORD_X: u16 = 0x40;
    pub(in super::super) const LD_HALF_X: u16 = 0x48;
    pub(in super::super) const LD_BYTE_X: u16 = 0x50;
    /// X = 4 * (byte & 15): the length of an IPv4 header.
    pub(in super::super) const LDX_HEADER: u16 = 0xb1;
    pub(in super::super) const LD: u16 = 0x00;
    pub(in super::super) const LD_MEMORY: u16 = 0x60;
    pub(in super::super) const ST: u16 = 0x02;
    pub(in super::super) const LDX_MEMORY: u16 = 0x61;
    pub(in super::super) const STX: u16 = 0x03;
    pub(in super::super) const LD_LENGTH: u16 = 0x80;
    pub(in super::super) const ADD: u16 = 0x04;
    pub(in super::super) const ADD_X: u16 = 0x0c;
    pub(in super::super) const AND: u16 = 0x54;
    pub(in super::super) const SHIFT_RIGHT: u16 = 0x74;
    pub(in super::super) const MULTIPLY: u16 = 0x24;
    pub(in super::super) const XOR: u16 = 0xa4;
    pub(in super::super) const XOR_X: u16 = 0xac;
    pub(in super::super) const TAX: u16 = 0x07;
    pub(in super::super) const TXA: u16 = 0x87;
    pub(in super::super) const JUMP: u16 = 0x05;
    pub(in super::super) const JUMP_EQUAL: u16 = 0x15;
    pub(in super::super) const JUMP_SET: u16 = 0x45;
    pub(in super::super) const JUMP_NOT_BELOW_X: u16 = 0x3d;
    pub(in super::super) const RETURN: u16 = 0x06;
}

/// Words that are no bytes of the packet (linux/filter.h, `SKF_AD_OFF`).
pub(super) mod ancillary {
    const BASE: u32 = 0xffff_f000;
    pub(in super::super) const PROTOCOL: u32 = BASE;
    pub(in super::super) const INTERFACE: u32 = BASE + 8;
    pub(in super::super) const RANDOM: u32 = BASE + 56;
}

/// A place in a program, to be jumped to from before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label(usize);

/// A program while it is being written.
#[derive(Debug, Default)]
pub(super) struct Program {
    instructions: Vec<Instruction>,
    /// Jumps whose place is not known yet: where they stand, and the label.
    open: Vec<(usize, usize)>,
    /// The same of conditions that step over instructions where they do not hold.
    near: Vec<(usize, usize)>,
    labels: Vec<Option<usize>>,
}

impl Program {
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label is here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    pub(super) fn push(&mut self, code: u16, k: u32) {
        self.instructions.push(Instruction { code, jt: 0, jf: 0, k });
    }

    /// Goes to `label` if `code` holds for `k`. Conditions reach 255 instructions, jumps any.
    pub(super) fn jump_if(&mut self, code: u16, k: u32, label: Label) {
        self.instructions.push(Instruction { code, jt: 0, jf: 1, k });
        self.jump(label);
    }

    /// Goes to `label` unless `code` holds for `k`.
    pub(super) fn jump_unless(&mut self, code: u16, k: u32, label: Label) {
        self.instructions.push(Instruction { code, jt: 1, jf: 0, k });
        self.jump(label);
    }

    /// The same for a label at most 255 instructions further on, for half the instructions.
    pub(super) fn step_unless(&mut self, code: u16, k: u32, label: Label) {
        self.near.push((self.instructions.len(), label.0));
        self.push(code, k);
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.open.push((self.instructions.len(), label.0));
        self.push(code::JUMP, 0);
    }

    /// Lets through this many bytes of the packet if `code` holds for `k`.
    pub(super) fn take_if(&mut self, code: u16, k: u32, bytes: u32) {
        self.instructions.push(Instruction { code, jt: 0, jf: 1, k });
        self.push(code::RETURN, bytes);
    }

    pub(super) fn take(&mut self, bytes: u32) {
        self.push(code::RETURN, bytes);
    }

    /// The instructions.
    ///
    /// # Panics
    /// If a jump goes to a label that is nowhere, or back.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.open {
            let target = self.labels[label].expect("every label is placed");
            self.instructions[at].k = u32::try_from(target - at - 1).expect("jumps go forward");
        }
        for (at, label) in self.near {
            let target = self.labels[label].expect("every label is placed");
            self.instructions[at].jf = u8::try_from(target - at - 1).expect("what is near is near");
        }
        self.instructions
    }
}
