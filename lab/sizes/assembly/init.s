# /init in x86_64 assembly: picoinit's contract.
#
# All signals are blocked, and PID 1 takes them from the kernel, one by one: so
# there are no handlers, and nothing ever interrupts it. A system call keeps all
# registers but rax, rcx and r11, so these keep their meaning everywhere:
#
#   ebx   the program's PID, until it has been reaped; then 0
#   ebp   the exit status of PID 1: how the program exited; until it has been
#         reaped, "killed"
#   r12d  what reboot(2) is to do, if the program has exited; else 0
#   r13   until when processes may take to exit, once they were told to
#   r14   the buffer, for a line or a path
#   r15   its end, where the kernel left argc, argv and envp

        .intel_syntax noprefix
        .include "constants.s"

        BUFFER = 4000           # a little less than a page of the stack
        NAME_END = 200          # where a name from outside ends in a line
        TURN = 100              # children that are reaped before signals have their turn
        GRACE = 500             # hundredths of a second that processes may take to exit
        TENTH = 100             # a tenth of a second, in milliseconds
        DEPTH = 16              # how deep mounts may be nested to be unmounted
        NOT_EXECUTABLE = 126    # exit statuses, as shells have them; after it, not found
        KILLED = 128            # and the signal is added

# Loads a small number, in three bytes.
        .macro  load    register, number
        push    \number
        pop     \register
        .endm

# Makes a system call: its arguments are in rdi, rsi, rdx, r10, r8.
        .macro  system  number
        load    rax, \number
        syscall
        .endm

        .macro  system_ number  # one above 127
        mov     eax, \number
        syscall
        .endm

        .section .text._start, "ax"
        .globl  _start
_start:
        mov     r15, rsp
        sub     rsp, BUFFER
        mov     r14, rsp

        # From here on, no signal is lost: they stay pending until PID 1 takes them.
        load    rax, -1
        call    block_signals
        system  SYS_getpid
        # Not `jz`: where system calls are filtered, even this one may fail.
        dec     eax
        jle     start
        mov     esi, offset must_be_1
        call    say
        load    rdi, 1
        jmp     exit

start:
        # Gives every signal its default disposition. The process that started PID 1 may
        # have ignored some; and while SIGCHLD is ignored, nobody learns how a child exited.
        xor     edx, edx
        push    rdx             # a struct sigaction, all default
        push    rdx
        push    rdx
        push    rdx
        mov     rsi, rsp
        load    r10, SIGNAL_SET_SIZE
        load    rdi, SIGNALS
1:      system  SYS_rt_sigaction
        dec     edi
        jnz     1b

        call    mount_all

        # Opens the console on those of the descriptors 0, 1 and 2 that are closed,
        # or /dev/null if there is no console: open(2) takes the lowest that is free.
        mov     esi, O_RDWR + O_NOCTTY
1:      mov     edi, offset console
        system  SYS_open
        test    eax, eax
        jns     2f
        mov     edi, offset null
        system  SYS_open
2:      cmp     eax, 2
        jbe     1b
        xchg    edi, eax
        system  SYS_close

        # Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset.
        xor     edx, edx        # LINUX_REBOOT_CMD_CAD_OFF
        call    reboot

        xor     ebx, ebx
        mov     ebp, KILLED + SIGKILL
        xor     r12d, r12d

        # The program is the first word that begins with a slash, apart from PID 1's
        # own name, with all that follow it.
        lea     rsi, [r15 + 16]
1:      lodsq
        test    rax, rax
        jz      2f
        cmp     byte ptr [rax], '/'
        jne     1b
        sub     rsi, 8
        jmp     3f
2:      push    0
        push    offset etc_rc
        mov     rsi, rsp
3:      mov     rdi, [rsi]

        system  SYS_fork
        test    eax, eax
        js      no_process
        jnz     program_runs

        # The child becomes the program: the terminal is to be its own, so that Ctrl-C
        # reaches it, and job control works.
        push    rsi
        # Where PID 1 was started on a terminal, as in a container, this process is
        # to be in its foreground.
        system  SYS_getpid
        push    rax
        xor     edi, edi
        mov     esi, TIOCSPGRP
        mov     rdx, rsp
        system  SYS_ioctl
        xor     esi, esi
        test    eax, eax
        js      1f
        system  SYS_setpgid
        jmp     2f
1:      # A session of its own, with the console as its controlling terminal.
        system  SYS_setsid
        mov     esi, TIOCSCTTY
        xor     edx, edx
        system  SYS_ioctl
2:      xor     eax, eax
        call    block_signals
        pop     rax
        pop     rsi
        mov     rdi, [rsi]
        mov     rax, [r15]      # envp comes after argc, argv and NULL
        lea     rdx, [r15 + 8 * rax + 16]
        system  SYS_execve
        call    cannot_run
        xchg    edi, eax
        jmp     exit

no_process:
        call    cannot_run
        call    exited
        jmp     never_wait

program_runs:
        xchg    ebx, eax

# Opens standard error once more, for PID 1 alone, so that it never waits for a
# terminal that nobody reads: poll(2) says that such a terminal can be written
# to as long as it has room for a part of a line. Not if it is a file on a disk,
# which keeps nobody waiting, and would get an offset of its own.
never_wait:
        load    rdi, 2
        xor     esi, esi
        load    rdx, SEEK_CUR
        system  SYS_lseek
        test    rax, rax
        jns     live
        mov     edi, offset own_stderr
        mov     esi, O_WRONLY + O_NONBLOCK + O_NOCTTY + O_APPEND
        system  SYS_open
        cmp     eax, 2
        jle     live
        xchg    edi, eax
        load    rsi, 2
        system  SYS_dup2
        system  SYS_close

# The life of PID 1.
live:
        mov     ecx, r12d
        test    ecx, ecx
        jnz     stop
        # Here PID 1 sleeps.
        xor     edx, edx
        call    take_signal
        # Whatever signal came: no flood of other signals can keep PID 1 from reaping.
        push    rax
        call    reap_all
        pop     rax
        test    eax, eax
        jle     live
        cmp     al, SIGCHLD
        je      live
        mov     ecx, LINUX_REBOOT_CMD_HALT
        cmp     al, SIGUSR1
        je      stop
        mov     ecx, LINUX_REBOOT_CMD_POWER_OFF
        cmp     al, SIGUSR2
        je      stop
        mov     ecx, LINUX_REBOOT_CMD_RESTART
        cmp     al, SIGTERM
        je      stop
        cmp     al, SIGINT      # Ctrl-Alt-Del
        je      stop
        test    ebx, ebx
        jz      live
        mov     edi, ebx        # everything else is for the program
        xchg    esi, eax
        system  SYS_kill
        jmp     live

# Stops every process, then the machine, as the command ecx says. If the machine goes
# on all the same, PID 1 may be asked once more.
stop:
        push    rcx
        # Asks every process to exit, waits until all have or the grace is over, and
        # kills those that have not.
        load    rsi, SIGTERM
1:      push    rsi
        load    rdi, -1         # every process but PID 1
        system  SYS_kill
        # A process that was stopped has to be woken to see that it is asked to exit.
        load    rsi, SIGCONT
        system  SYS_kill
        # Hundredths of a second since some time in the past. Where the kernel refuses
        # to say, they are almost 2^64, and the grace is over at once.
        xor     edi, edi
        system  SYS_times
        lea     r13, [rax + GRACE]
2:      call    reap_all
        js      3f
        xor     edi, edi
        system  SYS_times
        cmp     rax, r13
        jae     3f
        push    TENTH * 1000000
        push    0
        mov     rdx, rsp        # a struct timespec
        call    take_signal
        pop     rcx
        pop     rcx
        jmp     2b
3:      pop     rcx
        load    rsi, SIGKILL
        cmp     ecx, esi
        jne     1b
        # What else was asked for in the meantime is being done.
        push    0
        push    0
4:      mov     rdx, rsp
        call    take_signal
        test    eax, eax
        jg      4b
        pop     rcx
        pop     rcx
        # Only the PID 1 of the whole machine is allowed to do this. The PID 1 of a part
        # of it, such as a container, leaves disks and machine to their owner.
        xor     edx, edx        # LINUX_REBOOT_CMD_CAD_OFF
        call    reboot
        mov     edi, ebp
        js      exit

        # The disks may take as long as they need, so a child process sees to them,
        # while PID 1 goes on listening. And reboot(2) itself exits where the machine
        # cannot be switched off; if PID 1 did, the kernel would panic.
        load    rbp, 1
        system  SYS_fork
        push    rax
        test    eax, eax
        jle     7f
        # Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks.
        xchg    ebx, eax
5:      xor     edx, edx
        call    take_signal
        test    eax, eax
        jle     6f
        cmp     al, SIGCHLD
        jne     8f
6:      call    reap_all
        test    ebx, ebx
        jnz     5b
        jmp     8f
7:      system_ SYS_sync
        call    unmount_all
        # The child gets here; and PID 1, if it could have no child, if the child was
        # killed, or if it does not wait any longer. Not if the child has been here.
8:      pop     rdi             # 0 in the child
        pop     rdx
        test    ebp, ebp
        jz      9f
        push    rdi
        call    reboot
        pop     rdi
9:      test    edi, edi
        jz      exit
        xor     ebx, ebx        # if the child is still busy, it is nobody's program
        xor     r12d, r12d
        jmp     live

# Exits with status edi; if the kernel refuses even that, the process is killed for an
# instruction that does not exist.
exit:
        system  SYS_exit
        ud2

# Says why the program rdi cannot be executed: eax is an errno, negated. Returns
# what counts as its exit status.
cannot_run:
        push    rax
        mov     r8, rdi
        mov     esi, offset cannot_run_it
        call    say_errno
        pop     rcx
        load    rax, NOT_EXECUTABLE
        cmp     ecx, -ENOENT
        jne     1f
        inc     eax             # not found
1:      ret

# Signals.

# Makes rax the set of blocked signals.
block_signals:
        push    rax
        load    rdi, SIG_SETMASK
        mov     rsi, rsp
        xor     edx, edx
        load    r10, SIGNAL_SET_SIZE
        system  SYS_rt_sigprocmask
        pop     rax
        ret

# Sleeps until a signal is pending, but no longer than the struct timespec at rdx says,
# and takes it. Returns it; or 0 or a negative number if there was none.
take_signal:
        push    -1              # all signals
        mov     rdi, rsp
        xor     esi, esi
        load    r10, SIGNAL_SET_SIZE
        system_ SYS_rt_sigtimedwait
        pop     rdi
        test    eax, eax
        jns     1f
        cmp     eax, -EAGAIN
        je      1f
        # If the kernel refuses this, PID 1 looks now and then instead of spinning.
        xor     edi, edi        # and rsi is 0, too: no files
        load    rdx, TENTH
        system  SYS_poll
1:      ret

# Reaping.

# Reaps the children that have exited. Sets the sign flag if none are left.
reap_all:
        push    TURN
1:      push    rax
        mov     rsi, rsp
        load    rdi, -1         # any child
        load    rdx, WNOHANG
        xor     r10d, r10d
        system  SYS_wait4
        pop     rcx             # its status
        test    eax, eax
        jle     4f
        mov     r9d, eax
        movzx   eax, ch
        mov     r10d, eax
        mov     esi, offset exited_with
        and     ecx, 0x7f
        jz      2f
        mov     r10d, ecx
        lea     eax, [rcx + KILLED]
        mov     esi, offset killed_by
2:      cmp     r9d, ebx
        jne     3f
        call    exited
3:      call    say
        dec     dword ptr [rsp]
        jnz     1b
        # There may be more. They are next, after the signals that ask PID 1 to stop: of
        # those that are pending, the kernel hands out the one with the lowest number first.
        load    rdi, 1
        load    rsi, SIGCHLD
        system  SYS_kill
4:      pop     rcx
        test    eax, eax
        ret

# The program has exited with status eax, or could not be started, which counts as
# the same: PID 1 is to stop.
exited:
        xor     ebx, ebx
        xchg    ebp, eax
        mov     r12d, LINUX_REBOOT_CMD_POWER_OFF
        ret

# Calls reboot(2) with the command edx. Sets the sign flag if it is refused.
reboot:
        mov     edi, LINUX_REBOOT_MAGIC1
        mov     esi, LINUX_REBOOT_MAGIC2
        system_ SYS_reboot
        test    eax, eax
        ret

# Mounts, in the beginning and in the end.

# Mounts all that is in the table. But if there is a /proc already, whoever started
# PID 1, such as a container engine, has prepared the rest, too.
mount_all:
        mov     edi, offset proc_mounts
        xor     esi, esi        # F_OK
        system  SYS_access
        test    eax, eax
        jns     3f
        mov     edi, offset mounts
1:      mov     esi, 0755
        system  SYS_mkdir       # if it cannot be made, mount(2) will say so
        mov     rsi, rdi        # the target
        call    next_string
        mov     rdx, rdi        # the kind
        call    next_string
        mov     r8, rdi         # the options
        call    next_string
        push    rdi             # the flags, and after them the next
        movzx   r10d, byte ptr [rdi]
        mov     rdi, rdx        # the source, which is a mere name
        system_ SYS_mount
        # Where PID 1 may not mount, or something is mounted, there is nothing to say
        # of it.
        cmp     eax, -EPERM
        jge     2f
        cmp     eax, -EBUSY
        je      2f
        mov     r8, rsi
        mov     esi, offset cannot_mount
        call    say_errno
2:      pop     rdi
        inc     rdi
        cmp     byte ptr [rdi], 0
        jne     1b
3:      ret

# Moves rdi behind the string that it points to.
next_string:
        xor     eax, eax
        load    rcx, -1
        repne   scasb
        ret

# Unmounts everything, so that nothing written is lost. What cannot be unmounted,
# such as the root, is made read-only, which serves as well.
unmount_all:
        # A file system that has another mounted on it cannot go, and comes first in
        # the list: so each turn takes at least one level.
        push    DEPTH
1:      # The list becomes descriptor 0. At the limit on descriptors, there is no other.
        xor     edi, edi
        system  SYS_close
        mov     edi, offset proc_mounts
        xor     esi, esi        # O_RDONLY
        system  SYS_open

2:      mov     rdi, r14        # a word goes here
3:      call    next_byte
        jz      7f
        cmp     al, ' '
        je      6f
        cmp     al, '\n'
        je      6f
        cmp     al, '\\'
        jne     5f
        load    r8, 1           # a space in a name is written as \040
4:      call    next_byte
        and     eax, 7
        shl     r8d, 3
        or      r8d, eax
        bt      r8d, 9          # after three digits, the 1 is there
        jnc     4b
        mov     eax, r8d
5:      call    add
        jmp     3b

        # Every word that begins with a slash is tried. These are the mount points, and
        # some words that are not, as /dev/vda: to unmount such a word is an error, and
        # no more.
6:      cmp     rdi, r15
        jae     2b             # a word that does not fit is too long for a path
        mov     byte ptr [rdi], 0
        mov     rdi, r14
        cmp     byte ptr [rdi], '/'
        jne     2b
        load    rsi, UMOUNT_NOFOLLOW
        system_ SYS_umount2
        test    eax, eax
        jns     2b
        mov     rsi, rdi        # the source is ignored
        xor     edx, edx
        load    r10, MS_REMOUNT + MS_RDONLY
        xor     r8d, r8d
        system_ SYS_mount
        jmp     2b

7:      dec     dword ptr [rsp]
        jnz     1b
        pop     rax
        ret

# Reads the next byte of descriptor 0 into eax. At the end of the file, and if it
# cannot be read, that is 0, and sets the zero flag.
next_byte:
        push    rdi
        push    0
        mov     rsi, rsp
        xor     edi, edi
        load    rdx, 1
        system  SYS_read
        pop     rax
        pop     rdi
        test    eax, eax
        ret

# Lines.

# Prints the text rsi, with the name r8 and the number eax, an errno, negated.
say_errno:
        neg     eax
        xchg    r9d, eax
# Prints the text rsi, with the name r8 in place of an `@`, and the numbers r9d and
# r10d in place of each `#`. It is one write(2), so that the lines of several
# processes never tear.
#
# If it is not taken at once, nothing is printed: PID 1 does not wait for a pipe
# that is full, nor earn a SIGPIPE from a pipe that nobody reads any more.
say:
        mov     rdi, r14
1:      lodsb
        cmp     al, '#'
        je      3f
        cmp     al, '@'
        je      4f
        test    al, al
        jz      6f
2:      call    add
        jmp     1b

3:      xchg    r9d, eax
        mov     r9d, r10d
        call    add_number
        jmp     1b

        # What could move the cursor or begin an escape sequence is shown as a
        # question mark, and so is all that is not ASCII.
4:      mov     al, [r8]
        inc     r8
        test    al, al
        jz      1b
        lea     rcx, [r14 + NAME_END]
        cmp     rdi, rcx
        jae     4b
        lea     ecx, [rax - ' ']
        cmp     cl, '~' - ' '
        jbe     5f
        mov     al, '?'
5:      call    add
        jmp     4b

6:      sub     rdi, r14
        push    rdi
        push    2               # a struct pollfd: standard error
        mov     byte ptr [rsp + EVENTS], POLLOUT
        mov     rdi, rsp
        load    rsi, 1
        xor     edx, edx
        system  SYS_poll
        cmp     word ptr [rsp + REVENTS], POLLOUT
        pop     rdi             # the kernel takes its lower half, which is 2
        pop     rdx
        jne     7f
        mov     rsi, r14
        system  SYS_write
7:      ret

# Adds the number eax to what is in the buffer up to rdi.
add_number:
        load    rcx, 10
1:      xor     edx, edx
        div     ecx
        push    rdx
        test    eax, eax
        jz      2f
        call    1b
2:      pop     rax
        add     al, '0'
# Adds the byte al; what does not fit is dropped.
add:
        cmp     rdi, r15
        jae     1f
        stosb
1:      ret

        .section .rodata.str1.1, "aMS", @progbits, 1
must_be_1:      .asciz  "init: must run as PID 1\n"
cannot_mount:   .asciz  "init: cannot mount @: errno #\n"
cannot_run_it:  .asciz  "init: cannot run @: errno #\n"
killed_by:      .asciz  "init: pid # killed by signal #\n"
exited_with:    .asciz  "init: pid # exited with status #\n"
console:        .asciz  "/dev/console"
null:           .asciz  "/dev/null"
own_stderr:     .asciz  "/proc/self/fd/2"
etc_rc:         .asciz  "/etc/rc"
proc_mounts:    .asciz  "/proc/mounts"

        .section .rodata
# Target, kind, options, flags.
mounts:
        .asciz  "/proc", "proc", ""
        .byte   MS_NOSUID + MS_NODEV + MS_NOEXEC
        .asciz  "/sys", "sysfs", ""
        .byte   MS_NOSUID + MS_NODEV + MS_NOEXEC
        .asciz  "/dev", "devtmpfs", ""
        .byte   MS_NOSUID + MS_NOEXEC
        .asciz  "/dev/pts", "devpts", ""
        .byte   MS_NOSUID + MS_NOEXEC
        .asciz  "/run", "tmpfs", "mode=755"
        .byte   MS_NOSUID + MS_NODEV + MS_NOEXEC
        .byte   0
