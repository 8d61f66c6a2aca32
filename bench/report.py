"""Tables of what was measured: medians, ratios, and whether they reach what is asked."""
import os
import pathlib
import platform
import re
import statistics
import subprocess

from rows import PUT_KINDS, ROWS

TITLES = {"shoal": "Shoal", "juicefs": "JuiceFS", "juicefswb": "JuiceFS writeback", "ext4": "ext4"}


def number(value):
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def median(samples, field="value"):
    values = [sample[field] for sample in samples if field in sample]
    return statistics.median(values) if values else None


def ratio(row, ours, theirs):
    """How many times as good ours is."""
    if not ours or not theirs:
        return None
    return theirs / ours if ROWS[row].lower_is_better else ours / theirs


def verdict(row, ratios):
    """What of the design's goals and of the first release's floors is missed."""
    missed = []
    for asked, word in ((ROWS[row].floors, "floor"), (ROWS[row].goals, "goal")):
        missed += [f"{word} {least:g}x {TITLES[peer]}" for peer, least in asked.items()
                   if ratios.get(peer) is not None and ratios[peer] < least]
    return "reached" if not missed else "missed: " + ", ".join(missed)


def machine():
    model = "?"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    return f"{os.cpu_count()} CPUs ({model}), {memory:.0f} GiB memory, Linux {platform.release()}"


def commit(repo):
    done = subprocess.run(["git", "-C", str(repo), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def speed_table(results, systems):
    lines = ["| work | unit | " + " | ".join(TITLES[key] for key in systems) + " | Shoal ÷ " +
             " / ".join(TITLES[key] for key in systems if key != "shoal") + " | asked |",
             "|---|---|" + "---|" * (len(systems) + 2)]
    for row in ROWS:
        measured = {key: results.get(key, {}).get(row, []) for key in systems}
        if not any(measured.values()):
            continue
        medians = {key: median(samples) for key, samples in measured.items()}
        ratios = {key: ratio(row, medians.get("shoal"), medians[key]) for key in systems if key != "shoal"}
        lines.append(f"| {ROWS[row].title} | {ROWS[row].unit} | " +
                     " | ".join(number(medians[key]) for key in systems) + " | " +
                     " / ".join("–" if value is None else f"{value:.2g}x" for value in ratios.values()) +
                     f" | {verdict(row, ratios) if medians.get('shoal') else '–'} |")
    return lines


def per_operation(samples, field):
    values = [sample[field] / sample["operations"] * 1e6 for sample in samples if sample.get("operations")]
    return statistics.median(values) if values else None


def puts_per_operation(samples, field="requests"):
    values = [sum(n for kind, n in sample[field].items() if kind in PUT_KINDS) / sample["operations"]
              for sample in samples if field in sample and sample["operations"]]
    return statistics.median(values) if values else None


def requests_per_operation(samples):
    values = [sum(sample["requests"].values()) / sample["operations"] for sample in samples if sample["operations"]]
    return statistics.median(values) if values else None


def cost_table(results, systems):
    systems = [key for key in systems if key != "ext4"]
    lines = ["| work | " + " | ".join(f"{TITLES[key]}: CPU µs of the mount + of the servers; object requests; MiB"
                                      for key in systems) + " |",
             "|---|" + "---|" * len(systems)]
    for row in ROWS:
        cells = []
        for key in systems:
            samples = results.get(key, {}).get(row, [])
            if not samples:
                cells.append("–")
                continue
            cells.append(f"{number(per_operation(samples, 'daemon_cpu_s'))} + "
                         f"{number(per_operation(samples, 'servers_cpu_s'))}; "
                         f"{requests_per_operation(samples):.3g}; {median(samples, 'resident_bytes') / (1 << 20):.0f}")
        if any(cell != "–" for cell in cells):
            lines.append(f"| {ROWS[row].title} | " + " | ".join(cells) + " |")
    return lines


def create_details(results, systems):
    lines = []
    for key in systems:
        samples = results.get(key, {}).get("create", [])
        if key == "ext4" or not samples:
            continue
        stored = [{"operations": s["operations"], "requests": s["requests_until_stored"]}
                  for s in samples if "requests_until_stored" in s]
        line = (f"- {TITLES[key]}: {number(per_operation(samples, 'daemon_cpu_until_stored_s') if stored else None)} µs of "
                f"the mount's CPU per file until everything was stored, {puts_per_operation(stored) or 0:.4f} PUTs per file")
        traced = next((s["fuse_requests"] for s in samples if "fuse_requests" in s), None)
        if traced:
            total = sum(count for name, count in traced.items() if "FORGET" not in name)
            line += f"; {total:.2f} FUSE requests per create (" + \
                    ", ".join(f"{name} {count:g}" for name, count in sorted(traced.items())) + ")"
        lines.append(line)
    return lines


def pieces_lines(results, systems):
    lines = []
    for key in systems:
        rows = results.get(key, {})
        for state in ("read", "cold"):
            ordered = median(rows.get(f"pieces_ordered_{state}", []))
            if not ordered:
                continue
            shares = {how: median(rows.get(f"pieces_{how}_{state}", [])) for how in ("direct", "mmap")}
            lines.append(f"- {TITLES[key]}, {'cold' if state == 'cold' else 'same mount'}: " + ", ".join(
                f"{how} {value / ordered:.2f}x" for how, value in shares.items() if value))
    return lines


def packed_line(packed):
    reached = "within" if packed["puts"] <= packed["puts_bound"] else "OVER"
    return (f"- {packed['files']:,} files of 4 KiB in {packed['seconds']:.1f} s ({packed['files_per_s']:,.0f} files/s, load "
            f"{packed['load']:.1f}): {packed['puts']} PUTs, {reached} the bound of {packed['puts_bound']:.1f} (N / 64 MiB + 2 × "
            f"seconds / 5 + 2); {packed['daemon_cpu_us_per_file']:.0f} µs of CPU per file; resident "
            f"{packed['resident_bytes'] >> 20} MiB after it (asked: 300 after 1,000,000), {packed['peak_bytes'] >> 20} MiB at most, "
            f"{packed['resident_after_remount_bytes'] >> 20} MiB after a new mount")


def markdown(run):
    systems = run["systems"]
    lines = [f"`{run['command']}`, commit {run['commit']}, {run['date']}, {run['rounds']} interleaved rounds (medians), "
             f"seed {run['seed']}.", "",
             f"{run['machine']}; scratch on {run['disk']}; peers: {run['versions']}. Load average (1 minute) before each "
             f"round: {', '.join(f'{load:.1f}' for load in run['loads'])}.", ""]
    if run["warnings"]:
        lines += [f"**{warning}**" for warning in run["warnings"]] + [""]
    lines += speed_table(run["results"], systems) + [""]
    lines += ["Cost per operation (of a sequential row: per MiB):", "", *cost_table(run["results"], systems), ""]
    details = create_details(run["results"], systems)
    if details:
        lines += ["Creating small files:", "", *details, ""]
    read_back = pieces_lines(run["results"], systems)
    if read_back:
        lines += ["A file written in random pieces, read back, against one written in order (asked: 0.3x):", "", *read_back, ""]
    cold = median(run["results"].get("shoal", {}).get("seq_cold", []))
    if run["store_client"]:
        theirs = statistics.median(run["store_client"])
        lines += [f"The store's own client (curl, 4 connections, 64 MiB objects) reads {number(theirs)} MB/s" +
                  (f"; Shoal's cold sequential read is {cold / theirs:.2f}x of it (asked: 0.9x)." if cold else "."), ""]
    if run["packed"]:
        lines += ["Many small files in few objects:", "", *(packed_line(packed) for packed in run["packed"]), ""]
    if run["failures"]:
        lines += ["Failed:", "", *(f"- {failure}" for failure in run["failures"]), ""]
    return "\n".join(lines)
