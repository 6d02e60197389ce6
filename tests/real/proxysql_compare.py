"""ProxySQL bare and under the shim side by side: the KINDs works and cost of proxysql."""
import contextlib
import difflib
import os
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import time
import urllib.request

from proxysql_process import Ended, Failed, Run, START_LIMIT, bench, free_port, listening, read, server

TICKS = os.sysconf("SC_CLK_TCK")


# Without PAUSE and RESUME: a worker may overlook the new listener for ever (MySQL_Thread.cpp, run_BootstrapListener).
ADMIN_DIALOGUE = """
select variable_name from global_variables where variable_name not like 'sqliteserver%' order by 1;
insert into mysql_query_rules(rule_id, active, match_digest, cache_ttl, apply) values(1, 1, 'cached', 5000, 1);
load mysql query rules to runtime; save mysql query rules to disk; select rule_id, match_digest from runtime_mysql_query_rules;
insert or replace into mysql_users(username, password, default_hostgroup) values('more', 'more', 0);
load mysql users to runtime; save mysql users to disk; select username, default_hostgroup, backend from runtime_mysql_users order by 1, 3;
set mysql-max_connections=500; load mysql variables to runtime; save mysql variables to disk; select @@mysql-max_connections;
select hostgroup_id, hostname, status from runtime_mysql_servers; save mysql servers to disk; load mysql servers from disk;
load mysql servers to runtime; select count(*) from stats_mysql_connection_pool;
insert into scheduler(id, active, interval_ms, filename) values(1, 1, 500, '/bin/true'); load scheduler to runtime; save scheduler to disk;
select * from nothing; this is no statement; show tables; show databases; select digest_text from stats_mysql_query_digest order by 1;
proxysql flush logs; proxysql flush query cache; select count(*) from stats_mysql_global where 1 = 0;
delete from mysql_query_rules; delete from scheduler; load scheduler to runtime; save scheduler to disk; save mysql query rules to disk;
load mysql query rules to runtime"""
DIALOGUE = """
use d; drop table if exists w; create table w(id int primary key auto_increment, name varchar(100), n int);
insert into w(name, n) select concat('name ', seq), seq % 7 from seq_1_to_500;
select n, count(*), sum(length(name)) from w group by n order by n; select name from t where id in (5, 6, 7);
begin; update w set n = 99 where id < 10; select count(*) from w where n = 99; rollback; select count(*) from w where n = 99;
prepare s from 'select count(*) from w where n = ?'; set @n = 3; execute s using @n; deallocate prepare s;
select /* cached */ count(*) from t; select /* cached */ count(*) from t; select md5(repeat('y', 1000000)); select repeat('z', 100000);
select * from nothing; select 1 / 0; set names latin1; select @@character_set_client; set names utf8mb4; drop table w"""


def web(url, user=None):
    """The status and the beginning of a page."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, url, user, user)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.HTTPDigestAuthHandler(passwords))
    try:
        with opener.open(url, timeout=10) as page:
            return f"{page.status} {page.read(300).decode(errors='replace')}"
    except OSError as error:
        return f"{type(error).__name__} {getattr(error, 'code', '')}"


def ask_all(proxy, answers):
    """What it can do while it runs: appends to the answers."""
    for words in (["--force", "--skip-ssl"], ["--force", "--ssl"]):
        answers += proxy.query(DIALOGUE, *words)
        answers += proxy.admin(ADMIN_DIALOGUE, *words)
    answers.append(f"sysbench {bench(proxy.port, 1, 8) is not None}")
    web_port, rest_port = free_port(), free_port()
    script = f"{proxy.folder}/route"
    with open(script, "w") as file:
        file.write("#!/bin/sh\necho '{\"answer\": 42}'\n")
    os.chmod(script, 0o755)
    answers += proxy.admin(f"""set admin-web_enabled='true'; set admin-web_port={web_port}; set admin-restapi_enabled='true';
        set admin-restapi_port={rest_port}; load admin variables to runtime;
        replace into restapi_routes(id, active, timeout_ms, method, uri, script) values(1, 1, 5000, 'GET', 'answer', '{script}');
        load restapi to runtime""", "--force")
    proxy.until("web server", lambda: listening(web_port) and listening(rest_port))
    answers.append(web(f"https://127.0.0.1:{web_port}/stats", "stats"))
    answers.append(web(f"http://127.0.0.1:{rest_port}/sync/answer"))
    answers.append(web(f"http://127.0.0.1:{rest_port}/metrics")[:40])
    answers += proxy.admin("set admin-web_enabled='false'; set admin-restapi_enabled='false'; load admin variables to runtime", "--force")


def again(proxy, statement, full=True):
    """Tells it to stop and start within its process."""
    before = proxy.log().count("Shutdown completed!")
    proxy.admin(statement)
    proxy.until(statement, lambda: proxy.log().count("Shutdown completed!") > before)
    proxy.until_ready(full)


def session(run, words, end):
    """Everything: the answers, the status, and the lines of the log without what differs."""
    answers = [subprocess.run([*run.setup.under(run.way), run.setup.binary, "--version"], capture_output=True, text=True, timeout=60,
                              check=False, env=run.setup.environment(run.way, "/dev/null")).stdout]
    proxy = run.start(words, servers=server(run.setup.backend.port), variables="monitor_enabled=true monitor_ping_interval=1000")
    ask_all(proxy, answers)
    again(proxy, "proxysql restart")
    ask_all(proxy, answers)
    again(proxy, "proxysql stop", full=False)
    answers += proxy.admin("proxysql start")
    proxy.until_ready()
    answers += proxy.query(DIALOGUE, "--force")
    proxy.stop(end)
    answers.append("ended" if proxy.wait() else "hung")
    return finished(proxy, answers)


def own_crash(run, words, number):
    """Its own handler of a crash, and its angel."""
    proxy = run.start(words, servers=server(run.setup.backend.port))
    os.kill(proxy.server_pid(), number)
    answers = ["ended" if proxy.wait() else "hung"]
    answers += re.findall(r"^Error: signal.*|Restarting!", proxy.log(), re.M)
    return finished(proxy, answers)


def finished(proxy, answers):
    text = "".join(f"{answer}\n" for answer in answers)
    for word, instead in ((proxy.folder, "FOLDER"), (str(proxy.port), "PORT"), (str(proxy.admin_port), "PORT"), (str(proxy.setup.backend.port), "PORT")):
        text = text.replace(word, instead)
    # Not the stack of a crash: the signal goes to any thread.
    lines = {re.sub(r"0x[0-9A-Fa-f]+|[0-9a-f]{8}-[0-9a-f-]+|\d+", "N", line) for line in proxy.log().replace(proxy.folder, "FOLDER").splitlines()
             if not re.search("^==|^SUMMARY: outlive|\\[0x[0-9a-f]+\\]|Closing unhealthy client|Monitor queue too big", line)}
    with open(f"{proxy.folder}/answers", "w") as file:
        file.write(text)
    return text, proxy.status, lines, proxy.findings()


def attempt(setup, name, way, what):
    """Once more when ProxySQL crashes by itself in between, as it does now and then, bare too."""
    for number in range(3):
        with contextlib.ExitStack() as stack:
            run = Run(setup, f"{name}-{number}", way, stack)
            try:
                return what(run)
            except (Failed, Ended) as failure:
                end = failure
            run.proxy.alive()
            print(f"works {run.folder}: {end!r}, status {run.proxy.status}, crashes {run.proxy.crashes()}, "
                  f"findings {run.proxy.findings()}", flush=True)
    return f"FAILED: {end!r}\n", None, set(), []


def works(setup, arguments):
    """RUNS times: bare and under the shim in the same way, and what differs: how often."""
    different = 0
    for number in range(1, arguments.runs + 1):
        setup.daemon = number % 2 == 0
        words = ["--idle-threads"] if number % 3 == 0 else []
        end = ("slow", "shutdown", "term")[number % 3]
        way = arguments.way or ("run", "preload")[number % 4 < 2]
        for name, what in (("session", lambda run: session(run, words, end)),
                           ("crash", lambda run: own_crash(run, words, signal.SIGSEGV if number % 4 < 2 else signal.SIGABRT))):
            results = {chosen: attempt(setup, f"{number:03}-{name}-{chosen}", chosen, what) for chosen in ("bare", way)}
            told = compare(results["bare"], results[way])
            mode = " ".join(["daemon" if setup.daemon else "foreground", *words])
            print(f"works {number}, {name}, {way}, {mode}, {end if name == 'session' else 'its own crash'}: status {results[way][1]}, "
                  f"{results[way][0].count(chr(10))} lines of answers, {len(results[way][2])} kinds of lines in the log: {told or 'the same'}", flush=True)
            different += bool(told)
            for chosen in ("bare", way) if not told and not arguments.keep else ():
                shutil.rmtree(f"{setup.reports}/{number:03}-{name}-{chosen}-0", ignore_errors=True)
    return different


def compare(bare, shim):
    told = []
    if bare[0].startswith("FAILED") or shim[0].startswith("FAILED"):
        return f"bare {bare[0].strip()[:200]}, shim {shim[0].strip()[:200]}"
    lines = [line for line in difflib.unified_diff(bare[0].splitlines(), shim[0].splitlines(), lineterm="", n=0) if line[:3] not in ("---", "+++")]
    if lines:
        told.append(f"{len(lines)} other lines of answers: {lines[:6]}")
    if bare[1] != shim[1]:
        told.append(f"status {shim[1]}, bare {bare[1]}")
    told += [f"only {where} in the log: {line}" for where, ours, theirs in (("bare", bare[2], shim[2]), ("under the shim", shim[2], bare[2]))
             for line in sorted(ours - theirs)]
    told += [f"{kind} ({grade}): {sentence} [{where}]" for kind, grade, sentence, where in shim[3]]
    return "; ".join(told)


def cpu_ticks(pid):
    """User and system time of a process."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def resident(pid):
    """MB."""
    return int(re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{pid}/status"))[1]) / 1024


def cell(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def cost(setup, arguments, stack):
    """Start-up in pairs, then two proxies side by side and slices of the same load in turn."""
    ways = ("bare", arguments.way or "preload")

    def begin(name, way):
        run = Run(setup, name, way, stack)
        began = time.monotonic()
        proxy = run.begin(servers=server(setup.backend.port), variables="monitor_enabled=false")
        while not listening(proxy.port):
            if not proxy.alive() or time.monotonic() - began > START_LIMIT:
                raise Failed("it did not come up: " + proxy.log()[-2000:])
            time.sleep(0.001)
        return proxy, time.monotonic() - began
    starts, at_rest = {way: [] for way in ways}, {way: [] for way in ways}
    for number in range(arguments.starts):
        for way in ways if number % 2 else reversed(ways):
            proxy, seconds = begin(f"start-{number}-{way}", way)
            time.sleep(1)
            starts[way].append(seconds * 1000)
            at_rest[way].append(resident(proxy.server_pid()))
            proxy.stop("term")
            proxy.wait()
            shutil.rmtree(proxy.folder)
    for what, values in (("start until it listens, ms", starts), ("resident after 1 s, MB", at_rest)):
        print(f"{what}: bare {cell(values[ways[0]], '.0f')}, shim {cell(values[ways[1]], '.0f')}", flush=True)
    proxies = {way: begin(f"load-{way}", way)[0] for way in ways}
    for proxy in proxies.values():
        if bench(proxy.port, 2, arguments.clients or 8) is None:
            raise Failed("the load failed")
    ticks, rates = {way: [] for way in ways}, {way: [] for way in ways}
    for number in range(arguments.runs):
        for way in ways if number % 2 else reversed(ways):
            proxy = proxies[way]
            before = cpu_ticks(proxy.server_pid())
            rate = bench(proxy.port, arguments.seconds, arguments.clients or 8)
            if rate is None:
                raise Failed("the load failed")
            ticks[way].append((cpu_ticks(proxy.server_pid()) - before) / TICKS / (rate * arguments.seconds) * 1e6)
            rates[way].append(rate)
    print(f"resident after the load, MB: bare {resident(proxies[ways[0]].server_pid()):.0f}, shim {resident(proxies[ways[1]].server_pid()):.0f}")
    print(f"CPU time of a query, us: bare {cell(ticks[ways[0]], '.1f')}, shim {cell(ticks[ways[1]], '.1f')}, "
          f"ratio {cell([shim / bare for bare, shim in zip(*ticks.values())], '.2f')}")
    print(f"queries/s: bare {cell(rates[ways[0]], '.0f')}, shim {cell(rates[ways[1]], '.0f')}")
    for proxy in proxies.values():
        proxy.stop("term")
        proxy.wait()
        print(f"{proxy.way}: status {proxy.status}, findings {proxy.findings() or 'none'}, {', '.join(proxy.losses()) or 'no losses'}")
