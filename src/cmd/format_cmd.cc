// shoal format: makes a volume.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cmd/bucket.h"
#include "cmd/command.h"
#include "cmd/meta_url.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"
#include "meta/access_token.h"
#include "meta/owner.h"
#include "object/bucket_url.h"

namespace shoal::cmd {
namespace {

struct FormatArguments {
  std::string meta_url, name, bucket;
  std::optional<std::string> durability;
  std::optional<std::string> capacity;
  uint32_t trash_days = 1;
  uint64_t inodes = 0;
  bool metadata_loss_accepted = false;
};

Status check_name(const std::string& name) {
  const bool right =
      !name.empty() && name.size() <= 63 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
          std::string::npos &&
      name[0] != '-' && name[0] != '.';
  if (right) return {};
  return error(EINVAL, "'{}' is not a volume name; use 1 to 63 letters, digits, '-', '_' or '.'",
               name);
}

// What many nodes mount must not be lost with any one of them (design §6.2).
std::string default_durability(const MetaUrl& url) {
  return url.kind == MetaUrl::Kind::kPostgres ? "object" : "local";
}

Result<meta::VolumeSpec> make_spec(const MetaUrl& url, const FormatArguments& arguments) {
  meta::VolumeSpec spec;
  TRY(check_name(arguments.name));
  spec.name = arguments.name;
  TRY_ASSIGN(const object::BucketUrl bucket, object::BucketUrl::parse(arguments.bucket));
  spec.bucket = bucket.to_string();
  TRY_ASSIGN(spec.durability,
             parse_durability(arguments.durability.value_or(default_durability(url))));
  spec.trash_days = arguments.trash_days;
  if (arguments.capacity) {
    TRY_ASSIGN(spec.capacity_bytes, parse_size("--capacity", *arguments.capacity));
  }
  spec.inodes_max = arguments.inodes;
  return spec;
}

// Who formats a volume without being root could not use it otherwise.
Result<format::OwnerMarker> give_root_directory_to_caller(Runtime& runtime,
                                                          engine::KvEngine& engine) {
  ThreadPool executor("work", 2);
  TRY_ASSIGN(const auto owner, meta::open_owner(engine, runtime.clock, runtime.random, executor));
  meta::SetAttr change;
  change.uid = ::geteuid();
  change.gid = ::getegid();
  TRY(owner->metadata().setattr(operator_request(), kRootIno, change));
  TRY(owner->metadata().sync());
  return owner->marker();
}

// nullopt: there is none yet.
Result<std::optional<Uuid>> volume_at(Runtime& runtime, const MetaUrl& url) {
  Result<std::unique_ptr<engine::KvEngine>> engine = open_engine(runtime.fs, runtime.clock, url);
  if (engine.code() == ENOENT) return std::optional<Uuid>();
  if (!engine.ok()) return std::move(engine).error();
  const Result<format::Volume> volume = meta::read_volume(**engine);
  if (volume.code() == ENOENT) return std::optional<Uuid>();
  if (!volume.ok()) return volume.error();
  return std::optional(volume->uuid);
}

Status run_format(Context& context, const FormatArguments& arguments) {
  TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments.meta_url));
  if (url.is_remote()) {
    return error(EINVAL, "{} is a meta server; format its engine: rocksdb://… or postgres://…",
                 url.to_string());
  }
  TRY_ASSIGN(const meta::VolumeSpec spec, make_spec(url, arguments));
  Runtime& runtime = context.runtime;
  TRY(check_not_mounted(runtime, url));
  ThreadPool executor("store", 8);
  TRY_ASSIGN(const auto store,
             open_bucket(runtime, executor, spec.bucket, {.create_folder = true}));
  // The bucket answers, the keys are right and nobody else is there, before anything is made.
  TRY_ASSIGN(const std::optional<Uuid> before, volume_at(runtime, url));
  TRY(check_no_other_volume(*store, before.value_or(Uuid{})));
  TRY_ASSIGN(
      const auto engine,
      open_engine(runtime.fs, runtime.clock, url,
                  {.create = true, .metadata_loss_accepted = arguments.metadata_loss_accepted}));
  TRY_ASSIGN(const format::Volume volume,
             meta::format_volume(*engine, spec, runtime.clock, runtime.random));
  TRY(meta::draw_access_token(*engine, runtime.random, /*renew=*/false));
  const bool made = !before;
  if (made || read_marker(*store, volume.uuid).code() == ENOENT) {
    format::OwnerMarker marker{volume.uuid, volume.lineage, volume.epoch,
                               volume.opens.empty() ? Uuid{} : volume.opens.back()};
    if (made && ::geteuid() != 0) {
      TRY_ASSIGN(marker, give_root_directory_to_caller(runtime, *engine));
    }
    TRY(write_marker(*store, marker));
  }
  Json facts;
  facts["volume"] = volume.name;
  facts["uuid"] = volume.uuid.to_string();
  facts["bucket"] = volume.bucket;
  facts["durability"] = durability_name(volume.durability);
  facts["trash_days"] = volume.trash_days;
  facts["created"] = made;
  print_facts(context, facts.dump());
  if (!context.json && url.kind == MetaUrl::Kind::kPostgres) {
    std::printf("\nServe it with:  shoal meta --engine '%s'\n", url.to_string().c_str());
  } else if (!context.json) {
    std::printf("\nMount it with:  shoal mount %s MOUNTPOINT --background\n",
                url.to_string().c_str());
  }
  return {};
}

}  // namespace

void add_format(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<FormatArguments>();
  CLI::App* sub =
      app.add_subcommand("format", "Make a volume: metadata at META-URL, data in a bucket");
  sub->add_option("META-URL", arguments->meta_url,
                  "rocksdb:///absolute/folder or postgres://user@host/database?volume=NAME")
      ->required();
  sub->add_option("NAME", arguments->name, "name of the volume, shown by mount and df")->required();
  sub->add_option("--bucket", arguments->bucket,
                  "file:///folder or s3://bucket/prefix?endpoint=http://host:port&region=us-east-1 "
                  "(keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the usual profile)")
      ->required();
  sub->add_option(
      "--durability", arguments->durability,
      "what fsync waits for: local (this machine's disk; default with RocksDB) or object "
      "(the bucket; default with PostgreSQL)");
  sub->add_option("--trash-days", arguments->trash_days,
                  "keep deleted files so many days; 0: no trash")
      ->check(CLI::Range(0, kTrashDaysMax))
      ->capture_default_str();
  sub->add_option("--capacity", arguments->capacity,
                  "most bytes the volume may hold, such as 1T; default: no limit");
  sub->add_option("--inodes", arguments->inodes, "most files and directories; default: no limit");
  sub->add_flag("--metadata-loss-accepted", arguments->metadata_loss_accepted,
                "PostgreSQL: in spite of settings that may lose what was committed");
  sub->footer(
      "Example:\n"
      "  shoal format rocksdb:///var/lib/shoal/demo demo --bucket file:///srv/bucket\n"
      "Formatting an existing volume again changes nothing when everything is the same, and is "
      "refused otherwise.");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return run_format(context, *arguments); };
  });
}

}  // namespace shoal::cmd
