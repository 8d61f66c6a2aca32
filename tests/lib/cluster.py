"""What a test of many machines needs on one: PostgreSQL, meta servers, mounts through them.

    with e2e.Scratch() as scratch:
        database = cluster.Postgres(scratch)
        shared = cluster.SharedVolume(scratch, "demo", bucket_url, database.url("demo"), servers=2)
        a, b = shared.mount("a"), shared.mount("b")
        shared.servers[0].kill()

Everything listens on loopback and ends with the scratch folder.
"""
import json
import os
import pwd
import shutil
import signal
import subprocess

import e2e

POSTGRES = "/usr/lib/postgresql/15/bin"


class Postgres:
    """A server of its own, from Debian's package, with its data in the scratch folder."""

    def __init__(self, scratch, *settings):
        self.scratch = scratch
        self.data = scratch.path / "pg"
        self.port = e2e.free_ports(1)[0]
        self.process = None
        if not os.access(f"{POSTGRES}/postgres", os.X_OK):
            raise e2e.E2eError("PostgreSQL 15 is missing: run tools/install-deps.sh --tests")
        self.user = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
        self.data.mkdir()
        if os.geteuid() == 0:
            os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
        self._run("initdb", "-D", self.data, "-U", "shoal", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories=''\n"
                       "max_connections=200\nshared_buffers=128MB\n")
            conf.writelines(f"{line}\n" for line in settings)
        scratch.at_exit(self.kill)
        self.start()
        e2e.run(f"{POSTGRES}/createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "shoal", "shoal")

    def _demoted(self):
        if os.geteuid() != 0:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def _run(self, program, *words):
        subprocess.run([f"{POSTGRES}/{program}", *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.STDOUT, cwd="/", **self._demoted())

    def start(self):
        with open(self.scratch.path / "postgres.log", "ab") as log:
            self.process = subprocess.Popen([f"{POSTGRES}/postgres", "-D", str(self.data)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", **self._demoted())
        e2e.wait_until(lambda: subprocess.run([f"{POSTGRES}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                                              check=False).returncode == 0, 60, "PostgreSQL")

    def kill(self):
        """As a crash: SIGKILL of the postmaster; its children end by themselves."""
        if self.process:
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True,
                                      check=False).stdout.split()
            self.process.kill()
            self.process.wait()
            self.process = None
            for child in children:
                try:
                    os.kill(int(child), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            e2e.wait_until(lambda: not any(os.path.exists(f"/proc/{child}/fd/0") for child in children), 30,
                           "the end of PostgreSQL's processes")
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def url(self, volume):
        return f"postgres://shoal@127.0.0.1:{self.port}/shoal?volume={volume}"


class MetaServer:
    def __init__(self, scratch, name, engine, *options):
        self.scratch, self.name, self.engine, self.options = scratch, name, engine, options
        self.port = e2e.free_ports(1)[0]
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        scratch.at_exit(self.kill)
        self.start()

    def start(self):
        with open(self.scratch.path / f"meta-{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([e2e.SHOAL, "meta", "--listen", self.address, "--engine", self.engine,
                                             *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        e2e.wait_until(lambda: self.status() is not None, 30, f"meta server {self.name}")

    def status(self):
        """Of its volume; None while it does not answer."""
        if self.process.poll() is not None:
            raise e2e.E2eError(f"meta server {self.name} ended with {self.process.returncode}")
        told = e2e.run(e2e.SHOAL, "meta", "status", "--listen", self.address, "--json", check=False)
        return json.loads(told.stdout)["volumes"][0] if told.returncode == 0 else None

    def owns(self):
        status = self.status()
        return status is not None and status["state"] == "owner"

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        """In good order: hands its volumes over."""
        if self.process:
            self.process.terminate()
            code = self.process.wait(60)
            self.process = None
            if code != 0:
                raise e2e.E2eError(f"meta server {self.name} ended with {code} after SIGTERM")

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class SharedMount:
    """One mount, as on a node of its own: state, cache and log are its own."""

    def __init__(self, shared, name):
        self.shared, self.name = shared, name
        path = shared.scratch.path
        self.at, self.state, self.cache = path / f"m-{name}", path / f"s-{name}", path / f"c-{name}"
        self.log = path / f"mount-{name}.log"
        self.at.mkdir(exist_ok=True)
        shared.scratch.at_exit(self.end)

    def mount(self, *options, env=None):
        e2e.run(e2e.SHOAL, "mount", self.shared.url(), self.at, "--background", "--state-dir", self.state, "--cache-dir",
                self.cache, "--log", self.log, *options, env={**self.shared.env, **(env or {})})
        return self

    def unmount(self, *options):
        e2e.run(e2e.SHOAL, "umount", self.at, *options, timeout=300)

    def pid(self):
        return e2e.mount_pid(self.at)

    def kill(self):
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        e2e.wait_until(lambda: not os.path.exists(f"/proc/{pid}/fd/0"), 30, f"the end of process {pid}")

    def lose_node(self):
        """The process and its disks."""
        self.kill()
        subprocess.run(["umount", "-l", str(self.at)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.cache, ignore_errors=True)

    def end(self):
        try:
            os.kill(self.pid(), signal.SIGKILL)
        except (e2e.E2eError, ProcessLookupError):
            pass


class SharedVolume:
    """A volume behind meta servers."""

    def __init__(self, scratch, name, bucket_url, engine, *format_options, servers=1, server_options=()):
        self.scratch, self.name, self.engine = scratch, name, engine
        if bucket_url.startswith("file://"):
            os.makedirs(bucket_url[len("file://"):], exist_ok=True)
        e2e.run(e2e.SHOAL, "format", engine, name, "--bucket", bucket_url, *format_options)
        token = e2e.run(e2e.SHOAL, "token", engine).stdout
        self.token_file = scratch.path / f"{name}.token"
        self.token_file.write_text(token)
        self.token_file.chmod(0o600)
        self.env = {"SHOAL_TOKEN_FILE": str(self.token_file)}
        self.servers = [MetaServer(scratch, f"{name}{i}", engine, *server_options) for i in range(servers)]
        e2e.wait_until(self.owner, 30, f"an owner of volume {name}")

    def url(self):
        return f"shoal://{','.join(server.address for server in self.servers)}/{self.name}"

    def owner(self):
        """The server that owns the volume now; None: none says so."""
        for server in self.servers:
            if server.process and server.owns():
                return server
        return None

    def mount(self, name, *options, env=None):
        return SharedMount(self, name).mount(*options, env=env)

    def fsck(self, *options):
        return e2e.run(e2e.SHOAL, "fsck", self.url(), *options, timeout=600, env=self.env).stdout
