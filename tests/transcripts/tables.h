/* tables: compares the tables of a document with those of the code, so that neither can change alone. */
#ifndef TXKV_TABLES_H
#define TXKV_TABLES_H

/* How many rows of the command and error tables at path agree with the code; -1 after saying on stderr where they differ. */
int tables_compare(const char *path);

#endif
