#include "cache/buffer_pool.h"

#include <gtest/gtest.h>

#include <memory>

namespace shoal::cache {
namespace {

TEST(BufferPool, uses_buffers_again_and_keeps_only_so_many) {
  BufferPool pool(8192, 1);
  const std::byte* first = nullptr;
  {
    BufferPool::Buffer one = pool.take();
    first = one.first(8192).data();
    EXPECT_TRUE(is_direct_aligned(first));
    const BufferPool::Buffer two = pool.take();
  }  // `two` goes back first and fills the pool
  BufferPool::Buffer again = pool.take();
  EXPECT_NE(again.first(1).data(), first);
}

TEST(BufferPool, a_buffer_may_outlive_it) {
  auto pool = std::make_unique<BufferPool>(4096, 4);
  BufferPool::Buffer buffer = pool->take();
  pool.reset();
  buffer.first(4096)[4095] = std::byte{1};
}

}  // namespace
}  // namespace shoal::cache
