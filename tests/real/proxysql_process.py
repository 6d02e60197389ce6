"""ProxySQL as a process that tests start, ask and stop, bare or under the shim, and the servers and
clients around it. Used by proxysql and proxysql_compare.py."""
import contextlib
import glob
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

START_LIMIT, END_LIMIT = 60, 90  # seconds
GENERATIONS = 4                  # of a daemon that its angel starts again


class Failed(Exception):
    """A run that could not be done."""


class Ended(Exception):
    """The program ended before it was told to."""


def free_port():
    """Below those that clients get."""
    while True:
        port = random.randint(20000, 31999)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def children(pid):
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in read(task).split():
            yield int(child)


def descendants(pid):
    for child in children(pid):
        yield child
        yield from descendants(child)


def end_descendants():
    """What a failure left behind."""
    for pid in set(descendants(os.getpid())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_process(process, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def client(port, user, password, statement, *words, limit=30):
    """Runs statements with the mariadb client: its exit status and what it prints, errors included."""
    command = ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{port}", f"-u{user}", f"-p{password}", "-N", *words]
    try:
        done = subprocess.run(command, input=statement, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return 124, "no answer\n"
    return done.returncode, done.stdout


def bench(port, seconds, threads, what="run"):
    """Queries per second of sysbench's point selects with prepared statements, None if it fails."""
    done = subprocess.run(["sysbench", "oltp_point_select", "--mysql-host=127.0.0.1", f"--mysql-port={port}", "--mysql-user=app",
                           "--mysql-password=app", "--mysql-db=d", "--tables=1", "--table-size=10000", f"--threads={threads}",
                           f"--time={seconds}", what], capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        return None
    rate = re.search(r"queries: .*\(([\d.]+) per sec", done.stdout)
    return float(rate[1]) if rate else 0


def listening(port):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Backend:
    """A MariaDB server in a folder of its own, with a table, for all runs."""
    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        os.mkdir(folder)
        with open(f"{folder}/install", "w") as log:
            subprocess.run(["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={folder}/data",
                            "--auth-root-authentication-method=normal", "--skip-test-db"],
                           stdout=log, stderr=log, timeout=120, check=True)
        with open(f"{folder}/log", "w") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}/data", f"--socket={folder}/socket",
                 f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={folder}/pid", "--skip-name-resolve",
                 "--innodb-buffer-pool-size=64M", "--max-connections=300"], stdout=log, stderr=log)
        local = ["mariadb", "--no-defaults", f"--socket={folder}/socket", "-uroot"]
        deadline = time.monotonic() + 60
        while subprocess.run([*local, "-e", "select 1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed("mariadbd did not start: " + read(f"{folder}/log")[-2000:])
            time.sleep(0.1)
        subprocess.run([*local, "-e", """
            create database d; use d; create table t(id int primary key, name varchar(100));
            insert into t select seq, repeat(char(97 + seq % 26), seq % 100) from seq_1_to_1000;
            create user app@'127.0.0.1' identified by 'app'; grant all on *.* to app@'127.0.0.1';
            create user monitor@'127.0.0.1' identified by 'monitor'; grant all on *.* to monitor@'127.0.0.1'"""],
                       timeout=60, check=True)
        if bench(self.port, 1, 1, "prepare") is None:
            raise Failed("sysbench did not prepare")

    def end(self):
        end_process(self.process, signal.SIGTERM)


class Setup:
    """What all runs share."""
    def __init__(self, arguments, backend):
        self.build, self.binary, self.options = arguments.build, arguments.binary, arguments.options
        self.reports, self.daemon, self.backend = arguments.reports, arguments.daemon, backend
        # Descriptors are closed twice early in every slow shutdown: it would end there.
        if arguments.kind.startswith(("crash1", "crash2")):
            with open(f"{self.reports}/suppressions", "w") as file:
                file.write("double-close:*\n")
            self.options += f" suppressions={self.reports}/suppressions"

    def under(self, way):
        """The beginning of the command line."""
        return [f"{self.build}/outlive", "run", *(["--daemon"] if self.daemon else []), "--"] if way == "run" else []

    def environment(self, way, log):
        variables = dict(os.environ)
        if way != "bare":
            variables["OUTLIVE_OPTIONS"] = f"log_path={log} summary=2 {self.options}"
        if way == "preload":
            variables["LD_PRELOAD"] = f"{self.build}/liboutlive.so"
        return variables


class Proxy:
    """A ProxySQL that was started; way: bare, run (outlive run) or preload."""
    def __init__(self, setup, folder, way, words, servers, variables):
        self.setup, self.folder, self.way = setup, folder, way
        self.admin_port, self.port = free_port(), free_port()
        self.stopped_generations = 0
        os.makedirs(f"{folder}/data")
        with open(f"{folder}/proxysql.cnf", "w") as file:
            file.write(f"""
datadir="{folder}/data"
errorlog="{folder}/log"
admin_variables= {{ admin_credentials="admin:admin" mysql_ifaces="127.0.0.1:{self.admin_port}" }}
mysql_variables= {{ threads=2 interfaces="127.0.0.1:{self.port}" default_schema="information_schema" server_version="8.0.30"
  monitor_username="monitor" monitor_password="monitor" {variables} }}
mysql_servers= ( {servers} )
mysql_users= ( {{ username="app" password="app" default_hostgroup=0 }} )
""")
        command = [setup.binary, "--no-version-check", "-c", f"{folder}/proxysql.cnf", "-D", f"{folder}/data", *words]
        if not setup.daemon:
            command.insert(1, "-f")
        with open(f"{folder}/log", "a") as log:
            self.process = subprocess.Popen([*setup.under(way), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=setup.environment(way, f"{folder}/report.%p"))
        self.status = None

    def log(self):
        return read(f"{self.folder}/log")

    def pids(self):
        """Of the program's processes, the youngest generation last; orphans come to this one."""
        found = []
        for pid in sorted(set(descendants(os.getpid()))):
            with contextlib.suppress(OSError):
                if os.path.samefile(f"/proc/{pid}/exe", self.setup.binary) and self.folder.encode() in read_bytes(f"/proc/{pid}/cmdline"):
                    found.append(pid)
        return found

    def server_pid(self):
        return self.pids()[-1]

    def alive(self):
        """False when nothing is left; takes the status of daemons that came to this process."""
        if self.process.poll() is None:
            return True
        if self.status is None:
            self.status = self.process.returncode
        left = False
        for pid in self.pids():
            if pid in children(os.getpid()):
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    self.status = os.waitstatus_to_exitcode(status)
                    continue
            left = True
        return left

    def admin(self, statement, *words, limit=30):
        return client(self.admin_port, "admin", "admin", statement, *words, limit=limit)

    def query(self, statement, *words, limit=30):
        return client(self.port, "app", "app", statement, *words, limit=limit)

    def until(self, what, condition, limit=START_LIMIT):
        deadline = time.monotonic() + limit
        while not condition():
            if not self.alive():
                raise Ended(what)
            if time.monotonic() > deadline:
                self.explain_hang()
                raise Failed(f"{what}: not within {limit} s")
            time.sleep(0.05)

    def until_ready(self, full=True):
        """Until admin answers, and the listener too if it is to be started in full."""
        self.until("start", lambda: self.admin("select 1", limit=5)[0] == 0)
        if full:
            self.until("listener", lambda: listening(self.port))

    def stop(self, way):
        if way == "term":  # as systemd: to all of its processes
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        else:  # it answers nothing
            self.admin({"slow": "proxysql shutdown slow", "shutdown": "proxysql shutdown"}[way], limit=10)

    def wait(self):
        """Until the last process is gone: False if it hangs. Stops what an angel starts again."""
        deadline = time.monotonic() + END_LIMIT
        while self.alive():
            if time.monotonic() > deadline:
                self.explain_hang()
                return False
            generation = self.log().count("Restarting!")
            if self.setup.daemon and generation > self.stopped_generations:
                time.sleep(1)
                if self.admin("select 1", limit=2)[0] == 0:
                    self.stopped_generations = generation
                    if generation >= GENERATIONS:
                        return True
                    self.stop("shutdown")
            time.sleep(0.05)
        return True

    def explain_hang(self):
        with open(f"{self.folder}/hang", "w") as file:
            for pid in self.pids():
                for task in sorted(os.listdir(f"/proc/{pid}/task")):
                    file.write(f"{pid} {task} {read(f'/proc/{pid}/task/{task}/comm').strip()} "
                               f"{read(f'/proc/{pid}/task/{task}/wchan')} {read(f'/proc/{pid}/task/{task}/syscall')}")
                if shutil.which("gdb"):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        subprocess.run(["gdb", "-p", str(pid), "-batch", "-nx", "-ex", "thread apply all backtrace 12"],
                                       stdout=file, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=60, check=False)

    def end(self):
        """Whatever is left of it."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end_process(self.process)
        deadline = time.monotonic() + 10
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)

    def crashes(self):
        """Of the program itself, by its handler's word or by the status."""
        told = re.findall(r"^Error: signal (\d+)", self.log(), re.M)
        found = [signal.Signals(int(number)).name for number in told]
        if not found and self.status is not None and self.status < 0 and not self.findings():
            found.append(signal.Signals(-self.status).name)
        return found

    def findings(self):
        """Kind, grade, sentence without what differs from run to run, and where it was touched."""
        found = []
        for path in sorted(glob.glob(f"{self.folder}/report.*")):
            if path.endswith(".jsonl"):
                continue
            places = {}
            for line in read(path + ".jsonl").splitlines():
                with contextlib.suppress(ValueError):
                    one = json.loads(line)
                    places.setdefault(one.get("sentence"), place(one, self.setup.binary))
            for line in read(path).splitlines():
                match = re.match(r"==\d+==(?:ERROR|WARNING|NOTE): outlive: ([a-z-]+) \((\w+)\): (.*)", line)
                if match:
                    kind, grade, sentence = match.groups()
                    found.append((kind, grade, same(sentence), places.get(sentence, "")))
        return found

    def losses(self):
        """What the shim says of itself."""
        found = set()
        for path in [*glob.glob(f"{self.folder}/report.*"), f"{self.folder}/log"]:
            found.update(re.findall(r"^==\d+==(?:outlive: (.*)|COVERAGE: outlive: .*; (off: .*))", read(path), re.M))
        return sorted(re.sub(r"\d+", "N", one or two) for one, two in found if two != "off: nothing")


class Run:
    """One start of it, in a folder of its own; what it needs ends with the stack."""
    def __init__(self, setup, name, way, stack):
        self.setup, self.way, self.stack = setup, way, stack
        self.folder = f"{setup.reports}/{name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.proxy = None

    def begin(self, words=(), servers="", variables=""):
        self.proxy = Proxy(self.setup, self.folder, self.way, words, servers, variables)
        self.stack.callback(self.proxy.end)
        return self.proxy

    def start(self, words=(), full=True, servers="", variables=""):
        self.begin(words, servers, variables).until_ready(full)
        return self.proxy


def same(sentence):
    """Without thread numbers, names, times and addresses."""
    sentence = re.sub(r"\bT\d+ '[^']*'", "T", sentence)
    sentence = re.sub(r"\b\d+(\.\d+)? (ns|us|ms|s)\b", "N s", sentence)
    return re.sub(r"\b0x[0-9a-f]+\b", "ADDRESS", sentence)


def place(finding, binary):
    """Function and line of the touch, and of the destruction: the first frames of the program itself."""
    words = []
    for part in ("touch", "destruction"):
        frames = finding.get(part, {}).get("frames", [])
        for frame in frames:
            if "/include/c++/" not in frame.get("file", "/include/c++/") and os.path.basename(frame.get("module", "")) == os.path.basename(binary):
                words.append(f"{frame.get('function', '?').split('(')[0]} {os.path.basename(frame['file'])}:{frame.get('line')}")
                break
        else:
            words.append(frames[0].get("function", "?") if frames else "")
    return f"{words[0]}; destroyed by {words[1]}" if words[1] else words[0]


class Clients:
    """Live clients: half of them with TLS; half ask on and on in one connection, the others connect
    for each question; quiet: none of these. And one of the admin port."""
    def __init__(self, proxy, count, quiet=False):
        self.over = threading.Event()
        self.threads = []
        for number in range(count):
            number = 0 if quiet else number
            self.add(proxy.port, "app", f"select name from d.t where id = {number + 7};\n" * (1 if number & 2 else 10000),
                     "--ssl" if number & 1 else "--skip-ssl")
        if count:
            self.add(proxy.admin_port, "admin", "select count(*) from stats_mysql_connection_pool;\n" * 1000, "--skip-ssl")

    def add(self, port, user, statements, *words):
        def ask():
            while not self.over.is_set():
                client(port, user, user, statements, *words)
                time.sleep(0.01)
        self.threads.append(threading.Thread(target=ask))
        self.threads[-1].start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def server(port, host="127.0.0.1", hostgroup=0):
    return f'{{ address="{host}" port={port} hostgroup={hostgroup} max_connections=100 }}'


def check(result, what):
    if result[0]:
        raise Failed(f"{what}: {result[1].strip()[-300:]}")
    return result[1]
