// What a bucket can do, found out by doing it. One key is written at most twice and never in a
// burst: some vendors allow one write a second to a key.
#include <algorithm>

#include "object/object_store.h"

namespace shoal::object {
namespace {

Result<bool> probe_if_none_match(ObjectStore& store, const std::string& key) {
  TRY(put_and_wait(store, key, as_bytes("first")));
  CallOptions if_absent;
  if_absent.if_absent = true;
  const Result<std::string> second = put_and_wait(store, key, as_bytes("second"), if_absent);
  if (second.ok()) return false;  // ignored
  if (second.error().is(EEXIST)) {
    TRY_ASSIGN(const std::string content, get_and_wait(store, key, 0, 16));
    return content == "first";
  }
  return false;  // refused: 501 and its kin
}

Result<bool> probe_multipart(ObjectStore& store, const std::string& key) {
  Result<std::string> upload = wait_for<std::string>(
      [&](Done<std::string> done) { store.upload_begin(key, {}, std::move(done)); });
  if (!upload.ok()) return false;
  const std::string bytes = "one short part";
  Result<UploadedPart> part = wait_for<UploadedPart>([&](Done<UploadedPart> done) {
    store.upload_part(key, *upload, 1, {as_bytes(bytes)}, {}, std::move(done));
  });
  bool works = false;
  if (part.ok()) {
    works = wait_for<std::string>([&](Done<std::string> done) {
              store.upload_complete(key, *upload, {*part}, {}, std::move(done));
            }).ok();
  }
  if (!works) {
    wait_for<bool>([&](Done<bool> done) {
      store.upload_abort(key, *upload, {}, std::move(done));
    }).code();  // best effort: an upload that cannot be completed may not be abortable either
    return false;
  }
  TRY_ASSIGN(const std::string content, get_and_wait(store, key, 0, 64));
  return content == bytes;
}

Result<bool> probe_ordered_list(ObjectStore& store, const std::string& prefix,
                                std::vector<std::string> keys) {
  ListOptions options;
  options.start_after = keys.front();
  TRY_ASSIGN(const ListPage page, list_and_wait(store, prefix, options));
  std::vector<std::string> listed;
  for (const ObjectInfo& object : page.objects) listed.push_back(object.key);
  keys.erase(keys.begin());
  return listed == keys;
}

}  // namespace

Result<Capabilities> probe(ObjectStore& store, std::string prefix) {
  // In byte order. A store that sorts by locale, walks a tree of directories or ignores start-after
  // fails here.
  const std::vector<std::string> keys{prefix + "+", prefix + "B", prefix + "a-", prefix + "a/b"};
  Capabilities can;
  const auto all = [&]() -> Status {
    TRY_ASSIGN(can.if_none_match, probe_if_none_match(store, keys[0]));
    TRY_ASSIGN(can.multipart, probe_multipart(store, keys[1]));
    TRY(put_and_wait(store, keys[2], as_bytes("a")));
    TRY(put_and_wait(store, keys[3], as_bytes("b")));
    if (!can.multipart) TRY(put_and_wait(store, keys[1], as_bytes("B")));
    // A ranged read is the one thing that we cannot do without.
    TRY_ASSIGN(const std::string range, get_and_wait(store, keys[0], 1, 2));
    if (range != "ir" && range != "ec") {
      return error(EIO, "{}: a read of 2 bytes at 1 returned \"{}\"; ranged reads are needed",
                   store.describe(), range);
    }
    TRY_ASSIGN(can.ordered_list, probe_ordered_list(store, prefix, keys));
    return {};
  };
  const Status probed = all();
  for (const std::string& key : keys) {
    const Status removed = remove_and_wait(store, key);
    if (probed.ok() && !removed.ok()) return removed.error().in("probe: remove what it made");
  }
  TRY(probed);
  return can;
}

}  // namespace shoal::object
