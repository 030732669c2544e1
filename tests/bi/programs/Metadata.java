import java.lang.reflect.*;
import java.sql.*;
import java.util.*;

/** Every method of DatabaseMetaData, found by reflection, and what pgjdbc tells of results. Prints what steps.py says. */
public class Metadata {
    static final Map<String, String> steps = new LinkedHashMap<>();
    static final List<String> TABLES = List.of("orders", "employees", "order_items");

    interface Call {
        Object get() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> e = System.getenv();
        String url = "jdbc:postgresql://" + e.get("PGHOST") + ":" + e.get("PGPORT") + "/" + e.get("PGDATABASE");
        String version;
        try (Connection connection = DriverManager.getConnection(url, e.get("PGUSER"), e.get("PGPASSWORD"))) {
            DatabaseMetaData data = connection.getMetaData();
            version = data.getDriverVersion();
            Method[] methods = DatabaseMetaData.class.getMethods();
            Arrays.sort(methods, Comparator.comparing(Method::toString));
            for (Method method : methods) {
                if (Modifier.isStatic(method.getModifiers()) || List.of("getConnection", "unwrap").contains(method.getName())) continue;
                metadata(data, method);
            }
            run("getTables all schemas", () -> data.getTables(null, null, "%", null));
            run("getColumns whole catalog", () -> data.getColumns(null, "pg_catalog", "pg_c%", "%"));
            results(connection);
            session(connection);
        }
        StringBuilder out = new StringBuilder("{\"version\": " + text(version) + ", \"steps\": {");
        String between = "";
        for (Map.Entry<String, String> step : steps.entrySet()) {
            out.append(between).append(text(step.getKey())).append(": ").append(step.getValue());
            between = ",\n";
        }
        System.out.println(out.append("}}"));
    }

    static void metadata(DatabaseMetaData data, Method method) {
        Class<?>[] types = method.getParameterTypes();
        boolean ofTable = List.of("getBestRowIdentifier", "getColumnPrivileges", "getColumns", "getExportedKeys",
            "getImportedKeys", "getIndexInfo", "getPrimaryKeys", "getPseudoColumns", "getTablePrivileges",
            "getVersionColumns", "getSuperTables").contains(method.getName());
        for (String table : ofTable ? TABLES : List.of("")) {
            Object[] values = new Object[types.length];
            int strings = 0;
            for (int i = 0; i < types.length; i++) {
                if (types[i] == String.class) values[i] = new String[] {null, "public", ofTable ? table : "%", "%"}[Math.min(strings++, 3)];
                else if (types[i] == int.class) values[i] = method.getName().startsWith("getBest") ? DatabaseMetaData.bestRowSession : method.getName().startsWith("supportsConvert") ? Types.INTEGER : ResultSet.TYPE_FORWARD_ONLY;
                else if (types[i] == boolean.class) values[i] = false;
                else if (types[i] == Class.class) values[i] = DatabaseMetaData.class;
            }
            if (method.getName().equals("getCrossReference")) values = new Object[] {null, "public", "orders", null, "public", "order_items"};
            if (method.getName().equals("getSchemas") && types.length == 2) values = new Object[] {null, "pub%"};
            Object[] given = values;
            run(method.getName() + (types.length > 0 ? "(" + types.length + ")" : "") + (ofTable ? " of " + table : ""), () -> {
                try {
                    return method.invoke(data, given);
                } catch (InvocationTargetException wrapped) {
                    throw (Exception) wrapped.getCause();
                }
            });
        }
    }

    /** What a tool asks of a result's columns; pgjdbc reads the catalog for it. */
    static void results(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT o.order_id AS number, o.ordered_at, c.email, 1 + 1 FROM orders o JOIN customers c USING (customer_id) ORDER BY 1 LIMIT 3")) {
            ResultSetMetaData data = rows.getMetaData();
            for (int i = 1; i <= data.getColumnCount(); i++) {
                int column = i;
                for (Method method : ResultSetMetaData.class.getMethods()) {
                    if (method.getParameterCount() != 1 || method.getParameterTypes()[0] != int.class) continue;
                    run("ResultSetMetaData." + method.getName() + " " + i, () -> {
                        try {
                            return method.invoke(data, column);
                        } catch (InvocationTargetException wrapped) {
                            throw (Exception) wrapped.getCause();
                        }
                    });
                }
            }
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT name FROM stores WHERE region_id = ? AND opened_on > ? ORDER BY 1")) {
            run("ParameterMetaData", () -> statement.getParameterMetaData().getParameterTypeName(2));
            run("PreparedStatement.getMetaData", () -> statement.getMetaData().getColumnTypeName(1));
            statement.setInt(1, 3);
            statement.setDate(2, java.sql.Date.valueOf("1990-01-01"));
            run("prepared", statement::executeQuery);
        }
        for (String text : List.of("SELECT * FROM customers ORDER BY customer_id LIMIT 5", "SELECT salary FROM employees", "DELETE FROM regions", "SELECT * FROM no_such_table"))
            run(text, () -> {
                try (Statement statement = connection.createStatement()) {
                    return dump(statement.executeQuery(text));
                }
            });
    }

    static void session(Connection connection) {
        run("getCatalog", connection::getCatalog);
        run("getSchema", connection::getSchema);
        run("setSchema", () -> {
            connection.setSchema("public");
            return connection.getSchema();
        });
        run("getTransactionIsolation", connection::getTransactionIsolation);
        run("isReadOnly", connection::isReadOnly);
        run("isValid", () -> connection.isValid(5));
        run("getNetworkTimeout", connection::getNetworkTimeout);
        run("setClientInfo", () -> {
            connection.setClientInfo("ApplicationName", "a BI tool");
            return connection.getClientInfo();
        });
    }

    static void run(String name, Call call) {
        long started = System.nanoTime();
        String outcome;
        try {
            Object value = call.get();
            if (value instanceof ResultSet) value = dump((ResultSet) value);
            outcome = "\"value\": " + (value instanceof Raw ? ((Raw) value).json : text(String.valueOf(value)));
        } catch (Exception error) {
            outcome = "\"error\": " + text(error.toString());
        }
        while (steps.containsKey(name)) name += "'";
        steps.put(name, "{" + outcome + ", \"ms\": " + Math.round((System.nanoTime() - started) / 1e5) / 10.0 + "}");
    }

    static class Raw {
        final String json;

        Raw(String json) {
            this.json = json;
        }
    }

    static Raw dump(ResultSet rows) throws SQLException {
        List<String> lines = new ArrayList<>();
        int columns = rows.getMetaData().getColumnCount();
        List<String> cells = new ArrayList<>();
        for (int i = 1; i <= columns; i++) cells.add(text(rows.getMetaData().getColumnLabel(i)));
        lines.add("[" + String.join(", ", cells) + "]");
        while (rows.next()) {
            cells = new ArrayList<>();
            for (int i = 1; i <= columns; i++) cells.add(text(rows.getString(i)));
            lines.add("[" + String.join(", ", cells) + "]");
        }
        return new Raw("[" + String.join(", ", lines) + "]");
    }

    static String text(String value) {
        if (value == null) return "null";
        StringBuilder out = new StringBuilder("\"");
        for (char c : value.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else if (c < 32) out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
