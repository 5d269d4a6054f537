# Numbers of the kernel's, for x86_64: asm/unistd_64.h, errno.h, signal.h, linux/*.h.

        SYS_read = 0
        SYS_write = 1
        SYS_open = 2
        SYS_close = 3
        SYS_poll = 7
        SYS_lseek = 8
        SYS_rt_sigaction = 13
        SYS_rt_sigprocmask = 14
        SYS_ioctl = 16
        SYS_dup2 = 33
        SYS_alarm = 37
        SYS_getpid = 39
        SYS_fork = 57
        SYS_execve = 59
        SYS_exit = 60
        SYS_wait4 = 61
        SYS_kill = 62
        SYS_mkdir = 83
        SYS_setsid = 112
        SYS_rt_sigtimedwait = 128
        SYS_sync = 162
        SYS_mount = 165
        SYS_umount2 = 166
        SYS_reboot = 169
        SYS_statx = 332

        EPERM = 1
        ENOENT = 2
        ESRCH = 3
        EINTR = 4
        ECHILD = 10

        SIGINT = 2
        SIGKILL = 9
        SIGUSR1 = 10
        SIGUSR2 = 12
        SIGALRM = 14
        SIGTERM = 15
        SIGCHLD = 17
        SIGCONT = 18
        SIG_SETMASK = 2
        SI_CODE = 8                     # where it is in siginfo_t

        MS_RDONLY = 1
        MS_NOSUID = 2
        MS_NODEV = 4
        MS_NOEXEC = 8
        MS_REMOUNT = 32
        UMOUNT_NOFOLLOW = 8

        AT_FDCWD = -100
        O_WRONLY = 1
        O_RDWR = 2
        O_NOCTTY = 0400
        O_APPEND = 02000
        O_NONBLOCK = 04000
        SEEK_CUR = 1
        POLLOUT = 4
        STX_ATTRIBUTES = 8              # where it is in struct statx
        STATX_ATTR_MOUNT_ROOT = 0x2000
        TIOCSCTTY = 0x540e
        TIOCNOTTY = 0x5422
        WNOHANG = 1

        LINUX_REBOOT_MAGIC1 = 0xfee1dead
        LINUX_REBOOT_MAGIC2 = 0x28121969
        LINUX_REBOOT_CMD_RESTART = 0x01234567
        LINUX_REBOOT_CMD_HALT = 0xcdef0123
        LINUX_REBOOT_CMD_POWER_OFF = 0x4321fedc
