import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.CompressionType;
import org.rocksdb.FlushOptions;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;

/**
 * Writes a RocksDB table as Flink's state backend does: `java -cp frocksdbjni.jar Write.java DIR
 * COMPRESSION FORMAT`. The made-up plate lies in row 300, where Snappy has to refer back to write it.
 */
public class Write {
  public static void main(String[] arguments) throws Exception {
    RocksDB.loadLibrary();
    BlockBasedTableConfig table = new BlockBasedTableConfig();
    table.setFormatVersion(Integer.parseInt(arguments[2]));
    table.setBlockSize(1024);
    try (Options options = new Options().setCreateIfMissing(true)) {
      options.setTableFormatConfig(table);
      options.setCompressionType(CompressionType.valueOf(arguments[1]));
      try (RocksDB database = RocksDB.open(options, arguments[0])) {
        for (int row = 0; row < 600; row++) {
          String value = "QXZ7 KM4P QXZ7 KM4P " + (row == 300 ? "QXZ7KM4PAB01" : "AAAAAAAAAAAA");
          database.put(String.format("key-%06d", row).getBytes(), value.getBytes());
        }
        database.put("last-QXZ7KM4PKEY1".getBytes(), "x".getBytes());
        try (FlushOptions flush = new FlushOptions().setWaitForFlush(true)) {
          database.flush(flush);
        }
      }
    }
  }
}
