import java.sql.*;
import java.util.*;

/** A JDBC tool under a governed policy. Arguments: URL, user, password. Ends with "done", or with an exception. */
public class Governed {
    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
            binary(connection);
            pages(connection);
            batch(connection);
            transaction(connection, arguments[0].contains("autosave=always"));
            timeout(connection);
            metadata(connection.getMetaData());
            check(connection.isValid(5), "valid");
        }
        System.out.println("done");
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static void refused(Statement statement, String text, String state) throws SQLException {
        try {
            statement.execute(text);
        } catch (SQLException error) {
            check(state.equals(error.getSQLState()), text + ": " + error);
            return;
        }
        throw new AssertionError(text + " was not refused");
    }

    /** With prepareThreshold=1 and -1 results come in binary: masks must be right in that form too. */
    static void binary(Connection connection) throws SQLException {
        String text = "SELECT email, signed_up_on, customer_id::bigint, 1.5::numeric, ARRAY[1, 2] FROM customers WHERE region_id = ? LIMIT 3";
        try (PreparedStatement statement = connection.prepareStatement(text)) {
            for (int region = 1; region < 6; region++) {
                statement.setInt(1, region);
                try (ResultSet rows = statement.executeQuery()) {
                    int count = 0;
                    for (; rows.next(); count++) {
                        check(rows.getString(1).contains("***@***"), "mask");
                        check(rows.getDate(2) != null && rows.getLong(3) > 0, "date, bigint");
                        check(rows.getBigDecimal(4).toString().equals("1.5"), "numeric");
                        check(((Integer[]) rows.getArray(5).getArray()).length == 2, "array");
                    }
                    check(count == 3, "three rows");
                    check(rows.getMetaData().getColumnTypeName(2).equals("date"), "type of a column");
                }
            }
        }
    }

    /** setFetchSize: Execute with a row limit, PortalSuspended, again and again. */
    static void pages(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("SELECT email FROM customers ORDER BY customer_id LIMIT ?")) {
            statement.setFetchSize(11);
            statement.setInt(1, 100);
            int count = 0;
            try (ResultSet rows = statement.executeQuery()) {
                for (; rows.next(); count++) check(rows.getString(1).contains("***@***"), "mask in pages");
            }
            check(count == 100, "a hundred rows");
            try (ResultSet rows = statement.executeQuery()) {
                rows.next(); // closed half read
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void batch(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO regions VALUES (?, ?)")) {
            for (int i = 0; i < 20; i++) {
                statement.setInt(1, 100 + i);
                statement.setString(2, "x" + i);
                statement.addBatch();
            }
            statement.executeBatch();
            throw new AssertionError("a batch of writes was not refused");
        } catch (BatchUpdateException error) {
            check("25006".equals(error.getSQLState()), error.toString());
        }
    }

    /** autosave: the driver rolls back to a savepoint of its own. */
    static void transaction(Connection connection, boolean autosave) throws SQLException {
        connection.setReadOnly(true);
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.executeQuery("SELECT 1").close();
            Savepoint here = connection.setSavepoint("here");
            refused(statement, "SELECT salary FROM employees", "42501");
            if (!autosave) refused(statement, "SELECT 1", "25P02");
            connection.rollback(here);
            statement.executeQuery("SELECT 1").close();
            connection.commit();
        }
        connection.setAutoCommit(true);
        connection.setReadOnly(false); // the pin must hold all the same
        try (Statement statement = connection.createStatement()) {
            refused(statement, "DELETE FROM regions", "25006");
        } finally {
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        }
    }

    static void timeout(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            refused(statement, "SELECT count(*) FROM order_items a, order_items b, order_items c", "57014");
            statement.setQueryTimeout(0);
            statement.executeQuery("SELECT 1").close();
        }
    }

    static void metadata(DatabaseMetaData data) throws SQLException {
        check(names(data.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME").contains("orders"), "tables");
        check(names(data.getColumns(null, "public", "regions", "%"), "COLUMN_NAME").equals(List.of("region_id", "name")), "columns");
        check(names(data.getPrimaryKeys(null, "public", "orders"), "COLUMN_NAME").equals(List.of("order_id")), "primary key");
        check(names(data.getImportedKeys(null, "public", "orders"), "PKTABLE_NAME").contains("customers"), "imported keys");
        check(names(data.getExportedKeys(null, "public", "orders"), "FKTABLE_NAME").contains("order_items"), "exported keys");
        check(!names(data.getIndexInfo(null, "public", "orders", false, false), "INDEX_NAME").isEmpty(), "indexes");
        check(names(data.getSchemas(), "TABLE_SCHEM").contains("public"), "schemas");
        check(!names(data.getCatalogs(), "TABLE_CAT").isEmpty(), "catalogs");
        check(names(data.getTableTypes(), "TABLE_TYPE").contains("TABLE"), "table types");
        check(!names(data.getTypeInfo(), "TYPE_NAME").isEmpty(), "types");
        names(data.getProcedures(null, "public", "%"), "PROCEDURE_NAME");
        names(data.getFunctions(null, "public", "%"), "FUNCTION_NAME");
        names(data.getTablePrivileges(null, "public", "orders"), "GRANTEE");
        names(data.getColumnPrivileges(null, "public", "orders", "%"), "GRANTEE");
        names(data.getVersionColumns(null, "public", "orders"), "COLUMN_NAME");
        names(data.getBestRowIdentifier(null, "public", "orders", DatabaseMetaData.bestRowSession, true), "COLUMN_NAME");
        names(data.getUDTs(null, "public", "%", null), "TYPE_NAME");
        check(data.getMaxColumnNameLength() == 63, "length of names");
        check(!data.getSQLKeywords().isEmpty(), "keywords");
    }

    static List<String> names(ResultSet rows, String column) throws SQLException {
        List<String> found = new ArrayList<>();
        try (rows) {
            while (rows.next()) found.add(rows.getString(column));
        }
        return found;
    }
}
