# SPDX-License-Identifier: MIT
"""boots - Debian from start to its shell and to power off, resident memory, and idling."""
import os
import pathlib
import re
import subprocess
import threading
import time

READY = b'softmmu-guest: shell ready'   # /init says so


def command(emulator, guest, append):
    return emulator.machine('512M') + [
        '-bios', str(guest / 'fw_dynamic.bin'), '-kernel', str(guest / 'Image'),
        '-initrd', str(guest / 'initrd.img'), '-append', f'console=ttyS0 {append}'.strip()]


def start(emulator, guest, append, **channels):
    child = subprocess.Popen(command(emulator, guest, append), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, **channels)
    watchdog = threading.Timer(600, child.kill)
    watchdog.daemon = True
    watchdog.start()
    return child, watchdog


def resident(pid):
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmHWM:\s*(\d+)', status).group(1)) / 1024


def processor_seconds(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def boot(emulator, guest):
    """Seconds to the shell and to power off, peak resident MiB; None where it came to no end."""
    begin = time.monotonic()
    child, watchdog = start(emulator, guest, 'selfcheck', stdin=subprocess.DEVNULL)
    shell = peak = None
    held = False
    for line in child.stdout:
        if READY in line:
            shell = time.monotonic() - begin
        held |= b'selfcheck: all ok' in line
        if b'reboot: Power down' in line or b'selfcheck: all ok' in line:
            try:
                peak = resident(child.pid)
            except (OSError, AttributeError):
                pass
    status = child.wait()
    watchdog.cancel()
    if shell is None or status or not held or peak is None:
        return None
    return shell, time.monotonic() - begin, peak


def idle(emulator, guest, seconds=10):
    """Share of a core that a guest waiting at its prompt costs."""
    child, watchdog = start(emulator, guest, '', stdin=subprocess.PIPE)
    for line in child.stdout:
        if READY in line:
            break
    time.sleep(3)
    before = processor_seconds(child.pid)
    time.sleep(seconds)
    share = (processor_seconds(child.pid) - before) / seconds
    child.stdin.write(b'\x01x')
    child.stdin.flush()
    child.wait(30)
    watchdog.cancel()
    return share
