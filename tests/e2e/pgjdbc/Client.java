import java.sql.*;
import java.util.*;

/** What a JDBC tool does, through the gateway; prints one line a step and fails loudly. Arguments: URL, user, password. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put("user", arguments[1]);
        properties.put("password", arguments[2]);
        properties.put("ApplicationName", "pgjdbc test");
        try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
            System.out.println("version " + connection.getMetaData().getDatabaseMajorVersion());
            metadata(connection.getMetaData());
            prepared(connection);
            cursor(connection);
            refused(connection);
            cancelled(connection);
            asked(connection);
        }
    }

    static void metadata(DatabaseMetaData data) throws SQLException {
        Set<String> tables = new TreeSet<>();
        try (ResultSet rows = data.getTables(null, "public", "%", new String[] {"TABLE"})) {
            while (rows.next()) tables.add(rows.getString("TABLE_NAME"));
        }
        System.out.println("tables " + tables.contains("customers") + " " + tables.contains("orders"));
        int columns = 0;
        try (ResultSet rows = data.getColumns(null, "public", "customers", "%")) {
            while (rows.next()) columns++;
        }
        System.out.println("columns " + (columns > 3));
        try (ResultSet rows = data.getPrimaryKeys(null, "public", "customers")) {
            System.out.println("primary key " + rows.next());
        }
        try (ResultSet rows = data.getImportedKeys(null, "public", "orders")) {
            System.out.println("imported keys " + rows.next());
        }
        try (ResultSet rows = data.getIndexInfo(null, "public", "orders", false, true)) {
            System.out.println("indexes " + rows.next());
        }
        try (ResultSet rows = data.getSchemas()) {
            System.out.println("schemas " + rows.next());
        }
        try (ResultSet rows = data.getTypeInfo()) {
            System.out.println("types " + rows.next());
        }
    }

    /** Named and binary after the fifth execution (prepareThreshold). */
    static void prepared(Connection connection) throws SQLException {
        long sum = 0;
        try (PreparedStatement statement = connection.prepareStatement("SELECT ?::int + count(*) FROM products WHERE product_id > ?")) {
            for (int i = 0; i < 8; i++) {
                statement.setInt(1, i);
                statement.setInt(2, 1_000_000);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    sum += rows.getLong(1);
                }
            }
        }
        System.out.println("prepared " + sum);
    }

    /** Portals with a row limit: Execute, PortalSuspended, Execute. */
    static void cursor(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        int rowCount = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            try (ResultSet rows = statement.executeQuery("SELECT product_id FROM products ORDER BY product_id LIMIT 50")) {
                while (rows.next()) rowCount++;
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        System.out.println("cursor " + rowCount);
    }

    static void refused(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("DELETE FROM products");
            System.out.println("refused no");
        } catch (SQLException error) {
            System.out.println("refused " + error.getSQLState());
        }
    }

    static void cancelled(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.execute("SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d WHERE a.quantity + b.quantity > c.quantity");
            System.out.println("cancelled no");
        } catch (SQLException error) {
            System.out.println("cancelled " + error.getSQLState());
        }
        try (Statement statement = connection.createStatement()) {
            Thread other = new Thread(() -> {
                try {
                    Thread.sleep(1000);
                    statement.cancel();
                } catch (InterruptedException | SQLException error) {
                    System.out.println("stopped by " + error);
                }
            });
            other.start();
            statement.execute("SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d WHERE a.quantity + b.quantity > c.quantity");
            System.out.println("stopped no");
        } catch (SQLException error) {
            System.out.println("stopped " + error.getSQLState());
        }
    }

    static void asked(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("-- ask: how many products are there")) {
            rows.next();
            System.out.println("asked " + (rows.getLong(1) > 0) + " " + (statement.getWarnings() != null));
        }
    }
}
