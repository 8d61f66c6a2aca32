// shoal mount, and what mount(8) calls as mount.shoal.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/limits.h"
#include "base/log.h"
#include "cmd/command.h"
#include "cmd/daemon.h"
#include "cmd/data_place.h"
#include "cmd/mount_run.h"
#include "cmd/units.h"

namespace shoal::cmd {
namespace {

constexpr uint64_t kCacheBytesMin = 64 << 20;

struct MountArguments {
  std::string url, mount_point, state_dir, cache_dir, cache_size = "100G", subdir, options,
                                                      log_file;
  std::string staging_size = "10G", data_listen;
  bool background = false, read_only = false, take_over = false, accept_lost = false, no_gc = false;
  std::chrono::milliseconds store_timeout{0}, holder_timeout{10'000};
  std::string token_file, tls_ca;
  bool soft = false;
  std::chrono::milliseconds timeo{60'000};  // as NFS's default
};

std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

struct Setting {
  std::string_view name;
  std::string MountArguments::*value;
};
constexpr Setting kSettings[] = {
    {"state-dir", &MountArguments::state_dir},    {"cache-dir", &MountArguments::cache_dir},
    {"cache-size", &MountArguments::cache_size},  {"staging-size", &MountArguments::staging_size},
    {"subdir", &MountArguments::subdir},          {"log", &MountArguments::log_file},
    {"token-file", &MountArguments::token_file},  {"tls-ca", &MountArguments::tls_ca},
    {"data-listen", &MountArguments::data_listen}};

// Words of -o that are settings of ours: so that fstab can say them.
Status take_own_options(MountArguments& arguments) {
  std::string rest;
  size_t begin = 0;
  const std::string all = arguments.options;
  while (begin <= all.size() && !all.empty()) {
    const size_t end = std::min(all.find(',', begin), all.size());
    const std::string word = all.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    const auto setting = std::find_if(std::begin(kSettings), std::end(kSettings),
                                      [&name](const Setting& s) { return name == s.name; });
    if (setting != std::end(kSettings)) {
      if (value.empty()) return error(EINVAL, "mount option {} has no value", word);
      arguments.*setting->value = value;
    } else if (name == "store_timeout") {
      TRY_ASSIGN(arguments.store_timeout, parse_seconds(name, value));
    } else if (name == "holder_timeout") {
      TRY_ASSIGN(arguments.holder_timeout, parse_seconds(name, value));
    } else if (name == "timeo") {  // tenths of a second, as NFS has it
      TRY_ASSIGN(const std::chrono::milliseconds tens, parse_seconds(name, value));
      arguments.timeo = tens / 10;
    } else if (word == "soft" || word == "hard") {
      arguments.soft = word == "soft";
    } else if (!word.empty()) {
      rest += (rest.empty() ? "" : ",") + word;
    }
  }
  arguments.options = rest;
  return {};
}

Result<MountSettings> make_settings(MountArguments& arguments) {
  TRY(take_own_options(arguments));
  MountSettings settings;
  TRY_ASSIGN(settings.url, MetaUrl::parse(arguments.url));
  if (settings.url.kind == MetaUrl::Kind::kPostgres) {
    return error(EINVAL,
                 "a mount never has the database's password: let shoal meta --engine '{}' serve "
                 "the volume and mount shoal://HOST:PORT/NAME",
                 settings.url.to_string());
  }
  settings.mount_point = absolute(arguments.mount_point);
  while (settings.mount_point.size() > 1 && settings.mount_point.back() == '/')
    settings.mount_point.pop_back();
  settings.options = arguments.options;
  settings.subdir = arguments.subdir;
  settings.collect_garbage = !arguments.no_gc;
  OpenSettings& open = settings.open;
  open.take_over = arguments.take_over;
  open.accept_lost_staging = arguments.accept_lost;
  if (!arguments.state_dir.empty()) open.state_dir = absolute(arguments.state_dir);
  if (!arguments.cache_dir.empty()) open.cache_dir = absolute(arguments.cache_dir);
  TRY_ASSIGN(open.cache_bytes, parse_size("--cache-size", arguments.cache_size));
  if (open.cache_bytes != 0 && open.cache_bytes < kCacheBytesMin) {
    return error(EINVAL, "--cache-size {}: give 0 for no disk cache, or {} and more",
                 arguments.cache_size, format_size(kCacheBytesMin));
  }
  TRY_ASSIGN(open.staging.bytes_max, parse_size("--staging-size", arguments.staging_size));
  if (open.staging.bytes_max < kSegmentBytesMax) {
    return error(EINVAL, "--staging-size {}: a segment has {}; give that or more",
                 arguments.staging_size, format_size(kSegmentBytesMax));
  }
  open.staging.store_timeout = arguments.store_timeout;
  open.client.read_only = arguments.read_only;
  open.holder_timeout = arguments.holder_timeout;
  if (!arguments.data_listen.empty()) {
    if (!settings.url.is_remote()) {
      return error(EINVAL,
                   "--data-listen is for volumes of a meta server (shoal://); {} has no "
                   "other mounts",
                   settings.url.to_string());
    }
    TRY_ASSIGN(open.data_listen, parse_data_listen(arguments.data_listen));
  }
  return settings;
}

Result<std::string> log_path(Runtime& runtime, const MountArguments& arguments) {
  if (!arguments.log_file.empty()) return absolute(arguments.log_file);
  const Path folder = geteuid() == 0 ? Path("/var/log/shoal") : parent_of(default_state_dir("log"));
  TRY(make_dirs(runtime.fs, folder));
  std::string name = std::filesystem::path(arguments.url).filename().string();
  if (name.empty()) name = "volume";
  return join(folder, name + ".log");
}

Status mount_volume(Runtime& runtime, MountArguments arguments) {
  TRY_ASSIGN(const MountSettings settings, make_settings(arguments));
  if (!arguments.token_file.empty()) runtime.remote.token_file = absolute(arguments.token_file);
  if (!arguments.tls_ca.empty()) runtime.remote.tls.ca_file = absolute(arguments.tls_ca);
  if (arguments.soft) runtime.remote.soft_timeout = arguments.timeo;
  TRY(check_mount(settings));
  if (!arguments.background) {
    return run_mount(runtime, settings, [] {});
  }
  TRY_ASSIGN(const std::string log, log_path(runtime, arguments));
  TRY_ASSIGN(Daemon daemon, Daemon::fork_off(log));
  if (daemon.is_parent()) return daemon.outcome();
  Status ended = run_mount(runtime, settings, [&daemon] { daemon.report({}); });
  daemon.report(ended);
  return ended;
}

}  // namespace

void add_mount(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<MountArguments>();
  CLI::App* sub = app.add_subcommand("mount", "Mount a volume at a directory");
  sub->add_option("META-URL", arguments->url,
                  "rocksdb:///absolute/folder, or shoal://host[:port]/NAME of a meta server")
      ->required();
  sub->add_option("MOUNTPOINT", arguments->mount_point, "an existing directory")->required();
  sub->add_flag("-d,--background", arguments->background,
                "return when the mount is usable, serve in the background");
  sub->add_flag("--read-only", arguments->read_only, "refuse every change");
  sub->add_option("--state-dir", arguments->state_dir,
                  "journals not yet in the bucket; default /var/lib/shoal/UUID. Never delete it "
                  "while it has bytes");
  sub->add_option("--staging-size", arguments->staging_size,
                  "writers wait for the bucket beyond so much in --state-dir; at least 64M")
      ->capture_default_str();
  sub->add_option("--cache-dir", arguments->cache_dir, "disk cache; default /var/cache/shoal/UUID");
  sub->add_option("--cache-size", arguments->cache_size,
                  "most bytes of the disk cache, at least 64M; 0: none")
      ->capture_default_str();
  sub->add_option(
      "--data-listen", arguments->data_listen,
      "shoal:// volumes: HOST:PORT where other mounts get what is staged here; default: "
      "where the meta server sees this machine, any port");
  sub->add_option("--subdir", arguments->subdir, "mount only this directory of the volume");
  sub->add_option("--log", arguments->log_file,
                  "with --background: append messages here; default /var/log/shoal/NAME.log");
  sub->add_option(
      "-o", arguments->options,
      "mount options, comma-separated: ro, nosuid, nodev, noexec, attr_timeout=S, entry_timeout=S, "
      "store_timeout=S (give up on the bucket; default: wait), of a meta server's volume hard (the "
      "default: wait for it) or soft,timeo=TENTHS (EIO), holder_timeout=S (give up on what only "
      "another mount has; default 10), no_FEATURE, and the settings above "
      "as name=value");
  sub->add_flag("--take-over", arguments->take_over,
                "mount although the bucket was last used by another copy of the metadata; that "
                "copy can't be used any more");
  sub->add_flag(
      "--accept-lost-staging", arguments->accept_lost,
      "mount although a staging folder of this host is gone; reading what it held fails with EIO");
  sub->add_flag("--no-gc", arguments->no_gc, "do not free dead segments in the background");
  sub->footer(
      "Examples:\n"
      "  shoal mount rocksdb:///var/lib/shoal/demo /mnt/demo --background\n"
      "  mount -t shoal rocksdb:///var/lib/shoal/demo /mnt/demo -o cache-size=10G     (with "
      "mount.shoal installed)\n"
      "Unmount with: shoal umount MOUNTPOINT");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return mount_volume(context.runtime, *arguments); };
  });
}

// mount.shoal SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTIONS], as mount(8) calls it.
// Silent when all is well.
int run_mount_helper(Runtime& runtime, int argc, char** argv) {
  MountArguments arguments;
  arguments.background = true;
  std::vector<std::string> plain;
  bool fake = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if ((word == "-o" || word == "-t" || word == "-N") && i + 1 < argc) {
      const std::string value = argv[++i];
      if (word == "-o") arguments.options += (arguments.options.empty() ? "" : ",") + value;
    } else if (word.size() > 1 && word[0] == '-') {
      fake |= word.find('f') != std::string::npos;
    } else {
      plain.push_back(word);
    }
  }
  if (plain.size() != 2) {
    std::fprintf(stderr, "usage: mount.shoal META-URL MOUNTPOINT [-o OPTIONS]\n");
    return 1;  // mount(8): incorrect invocation
  }
  arguments.url = plain[0];
  arguments.mount_point = plain[1];
  if (fake) return 0;
  const Status done = mount_volume(runtime, arguments);
  if (done.ok()) return 0;
  std::fprintf(stderr, "mount.shoal: %s\n", done.error().text().c_str());
  return 32;  // mount(8): mount failure
}

}  // namespace shoal::cmd
