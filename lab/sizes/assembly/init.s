# /init in x86_64 assembly: picoinit's contract.
#
# All signals stay blocked, and one loop takes them from the kernel, one by one.
# A system call keeps all registers but rax, rcx and r11, so these keep their
# meaning everywhere:
#
#   ebx   the program's PID; 0 if it is not running
#   ebp   the exit status of PID 1: how the program ended; until it has, "killed"
#   r12d  the reboot(2) command that ends the teardown; 0 if none is under way
#   r13d  whether the teardown has killed everyone
#   r14   the buffer: for a line, and for what the kernel fills in
#   r15   argc, argv and envp, as the kernel left them; in the end, a descriptor

        .intel_syntax noprefix
        .include "constants.s"

        BUFFER = 256            # bytes that a line fits in, and a struct statx
        PATH = 4096
        NAME_LIMIT = 160        # bytes of a name from outside that are printed
        GRACE = 5               # seconds that processes may take to end
        DEPTH = 16              # how deep mounts may be nested to be unmounted

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
        system  SYS_getpid
        dec     eax
        jz      start
        mov     rdi, r14
        mov     esi, offset must_be_1
        call    add
        call    end_line
        load    rdi, 1
        jmp     exit

start:
        # Where a container was started on a terminal, PID 1 controls it; the
        # program is to.
        xor     edi, edi
        mov     esi, TIOCNOTTY
        system  SYS_ioctl
        or      rax, -1
        call    block_signals

        # Whoever started this PID 1 may have ignored some signals.
        xor     edi, edi
        push    rdi
        push    rdi
        push    rdi
        push    rdi
        mov     rsi, rsp        # a struct sigaction, all default
        xor     edx, edx
        load    r10, 8
        load    rdi, 64
1:      system  SYS_rt_sigaction
        dec     edi
        jnz     1b

        call    mount_all

        # Opens the console on those of the descriptors 0, 1 and 2 that are
        # closed: open(2) takes the lowest that is free.
1:      mov     edi, offset console
        call    open_rw
        test    eax, eax
        jns     2f
        mov     edi, offset null
        call    open_rw
2:      cmp     eax, 2
        jbe     1b
        xchg    edi, eax
        system  SYS_close

        xor     edx, edx        # LINUX_REBOOT_CMD_CAD_OFF
        call    reboot

        mov     ebp, 128 + SIGKILL
        xor     r12d, r12d
        xor     r13d, r13d

        # The program is the first word that begins with `/`, with all that
        # follow it.
        lea     rsi, [r15 + 8]
1:      add     rsi, 8
        mov     rdi, [rsi]
        test    rdi, rdi
        jz      2f
        cmp     byte ptr [rdi], '/'
        jne     1b
        jmp     3f
2:      mov     edi, offset etc_rc
        push    0
        push    rdi
        mov     rsi, rsp
3:
        system  SYS_fork
        mov     ebx, eax
        test    eax, eax
        jg      never_wait
        jz      become_program
        mov     rdx, rdi
        call    cannot_run
        load    rbp, 126
        call    power_off

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
        call    open
        xchg    edi, eax
        load    rsi, 2
        system  SYS_dup2
        system  SYS_close

# The life of PID 1: reaps all that have ended, then waits for a signal.
live:
        push    rax
        mov     rsi, rsp
        or      rdi, -1
        load    rdx, WNOHANG
        xor     r10d, r10d
        system  SYS_wait4
        pop     r8              # the status
        test    eax, eax
        jle     nobody

        mov     r9d, eax
        mov     rdi, r14
        mov     esi, offset pid
        call    add
        mov     eax, r9d
        call    add_number
        mov     esi, offset killed_by
        mov     eax, r8d
        and     eax, 0x7f
        lea     r10d, [rax + 128]
        jnz     1f
        mov     esi, offset exited_with
        shr     r8d, 8
        movzx   eax, r8b
        mov     r10d, eax
1:      call    end_with_number
        cmp     r9d, ebx
        jne     live
        xor     ebx, ebx
        mov     ebp, r10d
        call    power_off
        jmp     live

nobody:
        cmp     eax, -ECHILD
        jne     1f
        test    r12d, r12d
        jz      1f
        call    finish
1:
        push    -1              # all signals
        mov     rdi, rsp
        xor     esi, esi
        xor     edx, edx
        load    r10, 8
        system_ SYS_rt_sigtimedwait
        pop     rdi
        test    eax, eax
        jns     signal
        # A kernel that refuses this would have PID 1 spin.
        cmp     eax, -EINTR
        je      live
        xor     edi, edi
        xor     esi, esi
        or      edx, -1
        system  SYS_poll
        jmp     live

signal:
        cmp     al, SIGCHLD
        je      live
        mov     edx, LINUX_REBOOT_CMD_HALT
        cmp     al, SIGUSR1
        je      1f
        mov     edx, LINUX_REBOOT_CMD_POWER_OFF
        cmp     al, SIGUSR2
        je      1f
        mov     edx, LINUX_REBOOT_CMD_RESTART
        cmp     al, SIGTERM
        je      1f
        cmp     al, SIGINT
        jne     2f
1:      call    begin_teardown
        jmp     live

2:      cmp     al, SIGALRM
        jne     4f
        test    r12d, r12d
        jz      4f
        # Anyone may send it, and then the timer's own is lost, because one that is
        # pending is not sent twice; so the timer itself is asked. While the kernel
        # is still busy with one that just went off, it says 1 microsecond.
        xor     edi, edi        # ITIMER_REAL
        mov     rsi, r14
        system  SYS_getitimer
        test    eax, eax
        js      5f
        cmp     qword ptr [r14 + SECONDS_LEFT], 0
        jne     live
        cmp     qword ptr [r14 + MICROSECONDS_LEFT], 1000
        jae     live
5:      dec     r13d
        jz      3f
        load    r13, 1
        load    rsi, SIGKILL
        call    press
        jmp     live
3:      call    finish
        jmp     live

4:      test    ebx, ebx
        jle     live
        mov     edi, ebx        # everything else is for the program
        xchg    esi, eax
        system  SYS_kill
        jmp     live

# Turns a child of PID 1 into the program: its name is rdi, its words are at rsi.
become_program:
        push    rdi
        push    rsi
        system  SYS_setsid
        xor     edi, edi
        mov     esi, TIOCSCTTY
        xor     edx, edx
        system  SYS_ioctl
        xor     eax, eax
        call    block_signals
        pop     rsi
        pop     rdi
        mov     eax, [r15]      # envp is behind argc, argv and NULL
        lea     rdx, [r15 + 8 * rax + 16]
        system  SYS_execve
        mov     rdx, rdi
        load    rdi, 127
        cmp     eax, -ENOENT
        je      1f
        dec     edi
1:      push    rdi
        call    cannot_run
        pop     rdi

# Ends this process with status edi.
exit:
        system  SYS_exit

# Opens the file rdi to read and to write. If it is a terminal, it is the
# program's, and PID 1 does not take it.
open_rw:
        mov     esi, O_RDWR + O_NOCTTY
open:
        system  SYS_open
        ret

# Makes rax the set of blocked signals.
block_signals:
        push    rax
        load    rdi, SIG_SETMASK
        mov     rsi, rsp
        xor     edx, edx
        load    r10, 8
        system  SYS_rt_sigprocmask
        pop     rax
        ret

# Mounts all that is in the table.
mount_all:
        mov     edi, offset mounts
1:      mov     r9, rdi         # the target
        call    next_string
        push    rdi             # the kind
        call    next_string
        mov     r8, rdi         # the options
        call    next_string
        pop     rdx
        push    rdi             # the flags, and after them the next

        push    r8
        mov     rdi, r9
        mov     esi, 0755
        system  SYS_mkdir
        load    rdi, AT_FDCWD
        mov     rsi, r9
        push    rdx
        xor     edx, edx
        xor     r10d, r10d
        mov     r8, r14
        system_ SYS_statx
        pop     rdx
        pop     r8
        test    eax, eax
        js      2f
        test    byte ptr [r14 + STX_ATTRIBUTES + 1], STATX_ATTR_MOUNT_ROOT >> 8
        jnz     3f              # something is mounted there already

2:      mov     rdi, rdx        # the source, which is a mere name
        pop     r10
        push    r10
        movzx   r10d, byte ptr [r10]
        system_ SYS_mount
        # In a container that may not mount, there is nothing to say of it.
        cmp     eax, -EPERM
        jge     3f
        mov     esi, offset act_mount
        mov     rdx, r9
        call    cannot
3:      pop     rdi
        inc     rdi
        cmp     byte ptr [rdi], 0
        jne     1b
        ret

# Moves rdi behind the string that it points to.
next_string:
        xor     eax, eax
        or      rcx, -1
        repne   scasb
        ret

# Lines. Each is one write(2), so that the lines of several processes never tear.

# Prints `init: cannot run /etc/rc: errno 2`, for the name rdx and the result eax.
cannot_run:
        mov     esi, offset act_run
# The same for the act rsi.
cannot:
        push    rax
        push    rsi
        mov     rdi, r14
        mov     esi, offset init_cannot
        call    add
        pop     rsi
        call    add
        mov     rsi, rdx
        call    add
        pop     rax
        neg     eax
        mov     esi, offset errno

# Ends the line at rdi with the text rsi and the number eax, and prints it.
end_with_number:
        push    rax
        call    add
        pop     rax
        call    add_number
# Prints the line, if it is taken at once: PID 1 does not wait for a pipe that is
# full, nor earn a SIGPIPE from one that nobody reads any more.
end_line:
        mov     al, '\n'
        stosb
        sub     rdi, r14
        push    rdi
        push    2               # struct pollfd: standard error,
        mov     byte ptr [rsp + 4], POLLOUT
        mov     rdi, rsp
        load    rsi, 1
        xor     edx, edx
        system  SYS_poll
        cmp     byte ptr [rsp + 6], POLLOUT     # what can be done, and nothing else
        pop     rdi             # the kernel takes its lower half, which is 2
        pop     rdx
        jne     1f
        mov     rsi, r14
        system  SYS_write
1:      ret

# Adds the text rsi to the line at rdi; what could move the cursor, or is not
# ASCII, as a question mark.
add:
        mov     ecx, NAME_LIMIT
1:      lodsb
        test    al, al
        jz      3f
        cmp     al, ' '
        jb      2f
        cmp     al, '~'
        jbe     4f
2:      mov     al, '?'
4:      stosb
        loop    1b
3:      ret

# Adds the number eax.
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
        stosb
        ret

# The end of everyone, and of the machine.

power_off:
        mov     edx, LINUX_REBOOT_CMD_POWER_OFF
# Tells everyone to end; reboot(2) is to do edx then. The first call decides.
begin_teardown:
        test    r12d, r12d
        jnz     1f
        mov     r12d, edx
        load    rsi, SIGTERM
        call    kill_everyone
        # A stopped process has to be woken to see that it is to end.
        load    rsi, SIGCONT
# Sends everyone the signal esi, and SIGALRM to PID 1 when it should have been heeded.
press:
        call    kill_everyone
        test    eax, eax
        jns     2f
        cmp     eax, -ESRCH
        je      2f
        mov     esi, offset act_signal
        mov     edx, offset everyone
        call    cannot
2:      load    rdi, GRACE
        system  SYS_alarm
        test    eax, eax
        jns     1f
        # Without a timer there can be no time to wait.
        load    rsi, SIGKILL
kill_everyone:
        or      rdi, -1
        system  SYS_kill
1:      ret

# Ends the machine. If it goes on all the same, so does PID 1.
finish:
        xor     edi, edi
        system  SYS_alarm       # there is none any more
        # Only the PID 1 of a whole machine may do this. What is mounted in a
        # container belongs to whoever made it.
        xor     edx, edx        # LINUX_REBOOT_CMD_CAD_OFF
        call    reboot
        js      1f
        system_ SYS_sync
        call    unmount_all
1:
        # In a child process: if the machine cannot be switched off, reboot(2)
        # ends its caller, and the kernel panics when PID 1 ends.
        system  SYS_fork
        test    eax, eax
        jle     3f              # the child; or PID 1, if there can be none
        push    rax
        mov     rsi, rsp
        xchg    edi, eax
        xor     edx, edx
        xor     r10d, r10d
        system  SYS_wait4
        pop     rdx             # its status
        test    eax, eax
        jle     3f
        test    dl, 0x7f
        jz      4f              # one that was killed has said nothing
3:      push    rax
        mov     edx, r12d
        call    reboot
        sets    dl
        movzx   edx, dl
        pop     rax
        mov     edi, edx
        test    eax, eax
        jz      exit
4:      mov     edi, ebp
        test    edx, edx
        jnz     exit            # refused, as in a container
        xor     r12d, r12d
        xor     r13d, r13d
        ret

# Calls reboot(2) with the command edx.
reboot:
        mov     edi, LINUX_REBOOT_MAGIC1
        mov     esi, LINUX_REBOOT_MAGIC2
        system_ SYS_reboot
        test    eax, eax
        ret

# Unmounts everything. What cannot be unmounted is made read-only.
unmount_all:
        # At the limit on descriptors, there would be none for the list.
        xor     edi, edi
        system  SYS_close
        load    rax, DEPTH
        # The list begins with what was mounted first, which cannot go before
        # what is mounted inside it; so each time, the innermost go.
1:      push    rax
        mov     edi, offset proc_mounts
        xor     esi, esi        # O_RDONLY
        call    open
        mov     r15d, eax
        sub     rsp, PATH

        # A line is `device target type options 0 0`.
2:      mov     r9, rsp         # the target goes here
        xor     r8d, r8d        # the field
3:      call    next_byte
        jz      8f
        cmp     al, '\n'
        je      6f
        cmp     al, ' '
        jne     4f
        inc     r8d
        jmp     3b
4:      cmp     r8d, 1
        jne     3b
        cmp     al, '\\'
        jne     5f
        load    r10, 1          # a space in it is written \040
7:      call    next_byte
        and     eax, 7
        shl     r10d, 3
        or      r10d, eax
        bt      r10d, 9         # after three digits, the 1 is there
        jnc     7b
        mov     eax, r10d
5:      lea     rcx, [rsp + PATH - 1]
        cmp     r9, rcx
        jae     3b
        mov     [r9], al
        inc     r9
        jmp     3b
6:      mov     byte ptr [r9], 0

        mov     rdi, rsp
        load    rsi, UMOUNT_NOFOLLOW
        system_ SYS_umount2
        test    eax, eax
        jns     2b
        mov     rsi, rsp
        mov     rdx, rsp
        load    r10, MS_REMOUNT + MS_RDONLY
        xor     r8d, r8d
        system_ SYS_mount
        jmp     2b

8:      add     rsp, PATH
        mov     edi, r15d
        system  SYS_close
        pop     rax
        dec     eax
        jnz     1b
        ret

# Reads the next byte of the list into eax. Sets the zero flag at its end.
next_byte:
        push    0
        mov     rsi, rsp
        mov     edi, r15d
        load    rdx, 1
        system  SYS_read
        pop     rax
        test    eax, eax
        ret

        .section .rodata.str1.1, "aMS", @progbits, 1
must_be_1:      .asciz  "init: must run as PID 1"
console:        .asciz  "/dev/console"
null:           .asciz  "/dev/null"
own_stderr:     .asciz  "/proc/self/fd/2"
etc_rc:         .asciz  "/etc/rc"
proc_mounts:    .asciz  "/proc/mounts"
init_cannot:    .asciz  "init: cannot "
act_mount:      .asciz  "mount "
act_run:        .asciz  "run "
act_signal:     .asciz  "signal "
everyone:       .asciz  "everyone"
errno:          .asciz  ": errno "
pid:            .asciz  "init: pid "
killed_by:      .asciz  " killed by signal "
exited_with:    .asciz  " exited with status "

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
