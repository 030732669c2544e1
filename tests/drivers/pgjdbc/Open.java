import java.io.*;
import java.sql.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** A JDBC program where the policy passes. Arguments: URL, user, password. Ends with "done", or with an exception. */
public class Open {
    public static void main(String[] arguments) throws Exception {
        try (Connection connection = DriverManager.getConnection(arguments[0], arguments[1], arguments[2])) {
            batch(connection);
            keys(connection);
            updatable(connection);
            copy(connection.unwrap(PGConnection.class), connection);
            notifications(connection);
        }
        System.out.println("done");
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    static int count(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("SELECT count(*) FROM things")) {
            rows.next();
            return rows.getInt(1);
        }
    }

    static void batch(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO things VALUES (?, ?)")) {
            for (int i = 0; i < 500; i++) {
                statement.setInt(1, 1000 + i);
                statement.setString(2, "x" + i);
                statement.addBatch();
            }
            check(statement.executeBatch().length == 500, "batch");
        }
        connection.commit();
        check(count(connection) == 600, "rows of the batch");
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO things VALUES (?, 'again')")) {
            for (int i = 0; i < 5; i++) {
                statement.setInt(1, i == 3 ? 1000 : 5000 + i);
                statement.addBatch();
            }
            statement.executeBatch();
            throw new AssertionError("a key came twice");
        } catch (BatchUpdateException error) {
            check("23505".equals(error.getSQLState()), error.toString());
        }
        connection.rollback();
        connection.setAutoCommit(true);
        check(count(connection) == 600, "the failed batch left nothing");
    }

    static void keys(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO things VALUES (7000, 'k')", Statement.RETURN_GENERATED_KEYS)) {
            statement.executeUpdate();
            try (ResultSet rows = statement.getGeneratedKeys()) {
                check(rows.next() && rows.getInt("id") == 7000, "generated keys");
            }
        }
    }

    static void updatable(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                ResultSet rows = statement.executeQuery("SELECT id, name FROM things WHERE id = 7000")) {
            check(rows.next(), "the row");
            rows.updateString("name", "changed");
            rows.updateRow();
            rows.deleteRow();
        }
        check(count(connection) == 600, "the row was deleted");
    }

    static void copy(PGConnection postgres, Connection connection) throws Exception {
        long copied = postgres.getCopyAPI().copyIn("COPY things FROM STDIN", new StringReader("9000\ta\n9001\tb\n"));
        check(copied == 2, "copied in");
        StringWriter out = new StringWriter();
        postgres.getCopyAPI().copyOut("COPY (SELECT name FROM things WHERE id >= 9000 ORDER BY 1) TO STDOUT", out);
        check(out.toString().equals("a\nb\n"), "copied out");
        check(count(connection) == 602, "rows of COPY");
    }

    static void notifications(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("LISTEN news");
            statement.execute("NOTIFY news, 'hello'");
        }
        PGNotification[] heard = connection.unwrap(PGConnection.class).getNotifications(10_000);
        check(heard != null && heard.length == 1 && heard[0].getParameter().equals("hello"), "notification");
    }
}
