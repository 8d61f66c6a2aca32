// shoal destroy: removes a volume with everything in it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "cmd/bucket.h"
#include "cmd/command.h"
#include "cmd/ownership.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"

namespace shoal::cmd {
namespace {

struct DestroyArguments {
  std::string url, uuid;
};

Result<uint64_t> remove_objects(object::ObjectStore& store, const std::string& prefix) {
  uint64_t removed = 0;
  for (;;) {
    TRY_ASSIGN(const object::ListPage page, object::list_and_wait(store, prefix, {}));
    if (page.objects.empty()) return removed;
    std::vector<std::string> keys;
    for (const object::ObjectInfo& object : page.objects) keys.push_back(object.key);
    TRY_ASSIGN(const std::vector<std::string> left,
               object::wait_for<std::vector<std::string>>(
                   [&](object::Done<std::vector<std::string>> done) {
                     store.remove_many(keys, {}, std::move(done));
                   }));
    if (!left.empty())
      return error(EIO, "{} objects could not be removed, the first is {}", left.size(),
                   left.front());
    removed += keys.size();
    show_progress(fmt::format("removed {} objects", format_count(removed)));
  }
}

// Another copy of this metadata goes on with the bucket, and perhaps with this machine's staging.
Status destroy_metadata_only(Context& context, const MetaUrl& url, const format::Volume& record) {
  TRY(remove_engine(context.runtime.fs, context.runtime.clock, url));
  print_facts(context, Json{{"destroyed", url.to_string()},
                            {"objects_removed", 0},
                            {"kept", fmt::format("the data in {}: another copy of the metadata "
                                                 "uses it",
                                                 record.bucket)}}
                           .dump());
  return {};
}

Status run_destroy(Context& context, const DestroyArguments& arguments) {
  TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments.url));
  if (url.is_remote()) {
    return error(EINVAL, "{} is a meta server; destroy with the META-URL of its engine",
                 url.to_string());
  }
  Runtime& runtime = context.runtime;
  TRY(check_not_mounted(runtime, url));
  format::Volume record;
  {
    TRY_ASSIGN(const auto volume, OpenVolume::open_to_read(runtime, url));
    if (url.kind == MetaUrl::Kind::kPostgres)
      TRY(check_no_meta_server(runtime, volume->engine(), url));
    record = volume->volume();
    if (record.uuid.to_string() != arguments.uuid) {
      return error(
          EINVAL,
          "volume '{}' has the uuid {}; give that with --uuid to destroy it and all its data",
          record.name, record.uuid.to_string());
    }
  }
  const Uuid uuid = record.uuid;
  ThreadPool executor("store", 8);
  TRY_ASSIGN(const auto store, open_bucket(runtime, executor, record.bucket, {}));
  TRY_ASSIGN(const bool owns, owns_data(*store, record));
  if (!owns) return destroy_metadata_only(context, url, record);
  // The marker goes last: while it is there a repeated destroy finds the rest.
  Result<uint64_t> removed = remove_objects(*store, uuid.to_string() + "/seg/");
  end_progress();
  if (!removed.ok()) return std::move(removed).error();
  TRY(remove_objects(*store, uuid.to_string() + "/"));
  end_progress();
  TRY(remove_engine(runtime.fs, runtime.clock, url));
  TRY(remove_tree(runtime.fs, default_state_dir(uuid.to_string())));
  TRY(remove_tree(runtime.fs, default_cache_dir(uuid.to_string())));
  print_facts(context, Json{{"destroyed", uuid.to_string()}, {"objects_removed", *removed}}.dump());
  return {};
}

}  // namespace

void add_destroy(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<DestroyArguments>();
  CLI::App* sub =
      app.add_subcommand("destroy", "Remove a volume: metadata, staging, cache and every object");
  sub->add_option("META-URL", arguments->url)->required();
  sub->add_option("--uuid", arguments->uuid,
                  "the volume's uuid as status shows it: the confirmation")
      ->required();
  sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return run_destroy(context, *arguments); };
  });
}

}  // namespace shoal::cmd
