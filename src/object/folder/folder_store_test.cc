#include "object/folder/folder_store.h"

#include "object/contract/contract.h"
#include "sim/scratch_folder.h"

namespace shoal::object {
namespace {

class FolderBucketUnderTest final : public ContractBucket {
 public:
  FolderBucketUnderTest() { open(); }
  ObjectStore& store() override { return *store_; }
  bool reopen() override {
    store_.reset();
    open();
    return true;
  }

 private:
  void open() { store_ = open_folder_store(fs_, pool_, folder_.path()).value(); }

  RealFs fs_;
  sim::ScratchFolder folder_;
  ThreadPool pool_{"folder-store", 4};
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(ContractTest, holds) { run_contract_case(GetParam()); }
INSTANTIATE_TEST_SUITE_P(Folder, ContractTest, testing::ValuesIn(contract_parameters([] {
                           return std::make_unique<FolderBucketUnderTest>();
                         })),
                         contract_test_name);

class FolderStoreTest : public testing::Test {
 protected:
  std::unique_ptr<ObjectStore> open() { return open_folder_store(fs, pool, folder.path()).value(); }
  std::vector<std::string> keys(ObjectStore& store) {
    const ListPage page = list_and_wait(store, "").value();
    std::vector<std::string> out;
    for (const ObjectInfo& object : page.objects) out.push_back(object.key);
    return out;
  }

  RealFs fs;
  sim::ScratchFolder folder;
  ThreadPool pool{"folder-store", 2};
};

TEST_F(FolderStoreTest, a_missing_folder_is_enoent_and_a_file_is_enotdir) {
  EXPECT_EQ(open_folder_store(fs, pool, folder.path() + "/none").code(), ENXIO);
  write_file_atomically(fs, folder.path() + "/file", as_bytes("x")).value();
  EXPECT_EQ(open_folder_store(fs, pool, folder.path() + "/file").code(), ENOTDIR);
}

TEST_F(FolderStoreTest, a_folder_that_vanishes_is_told_apart_from_a_missing_object) {
  auto store = open();
  remove_tree(fs, folder.path()).value();
  EXPECT_EQ(get_and_wait(*store, "k", 0, 1).code(), ENXIO);
  EXPECT_EQ(put_and_wait(*store, "a/k", as_bytes("x")).code(), ENXIO);
  EXPECT_EQ(list_and_wait(*store, "").code(), ENXIO);
}

TEST_F(FolderStoreTest, leftover_temporaries_are_not_listed_and_go_away) {
  open()->describe();
  auto store = open();
  put_and_wait(*store, "d/k", as_bytes("x")).value();
  const Path stale = folder.path() + "/d/.tmp-1-999";
  write_file_atomically(fs, stale, as_bytes("half")).value();
  EXPECT_EQ(keys(*store), std::vector<std::string>{"d/k"});
  EXPECT_FALSE(exists(fs, stale).value());
}

TEST_F(FolderStoreTest, temporaries_of_another_living_process_are_left_alone) {
  auto first = open();
  auto second = open();  // number 2
  put_and_wait(*first, "d/k", as_bytes("x")).value();
  const Path living = folder.path() + "/d/.tmp-1-999";
  write_file_atomically(fs, living, as_bytes("half")).value();
  EXPECT_EQ(keys(*second), std::vector<std::string>{"d/k"});
  EXPECT_TRUE(exists(fs, living).value());
}

TEST_F(FolderStoreTest, a_strangers_files_are_not_objects) {
  auto store = open();
  put_and_wait(*store, "k", as_bytes("x")).value();
  write_file_atomically(fs, folder.path() + "/README", as_bytes("hello")).value();
  fs.make_dir(folder.path() + "/lost+found").value();
  EXPECT_EQ(keys(*store), std::vector<std::string>{"k"});
}

TEST_F(FolderStoreTest, uploads_of_a_dead_process_are_removed_at_the_next_start) {
  {
    auto store = open();
    wait_for<std::string>([&](Done<std::string> done) {
      store->upload_begin("k", {}, std::move(done));
    }).value();
    EXPECT_EQ(fs.list(folder.path() + "/.uploads").value().size(), 1u);
  }
  auto store = open();
  EXPECT_TRUE(fs.list(folder.path() + "/.uploads").value().empty());
}

}  // namespace
}  // namespace shoal::object
