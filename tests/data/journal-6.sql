-- A journal of version 6, with one draft: its tables as that version made them, and its rows.
CREATE TABLE calls (
        place          INTEGER PRIMARY KEY CHECK (place >= 0),
        draft          INTEGER AS (place >> 32),
        sequence       INTEGER AS (place & 4294967295),
        at_ms          INTEGER NOT NULL,
        engine_version INTEGER NOT NULL,
        tool           TEXT NOT NULL,
        arguments      TEXT NOT NULL,
        found          TEXT,
        reply          TEXT NOT NULL
    , call BLOB, internal INTEGER NOT NULL DEFAULT 0);
INSERT INTO "calls" VALUES(4294967296,1795788159666,1,'create_draft','{"name":"Trip","width":1080,"height":1920}','{"create":{"name":"Trip","width":1080.0,"height":1920.0,"edition":"capcut"}}','{"draft_id":"dfd_cat_1795788159_9c95bf78","created":true}',X'9784799B13034CCCBE33CD5928A7751B',0);
INSERT INTO "calls" VALUES(4294967297,1795788160088,1,'add_text','{"draft_id":"dfd_cat_1795788159_9c95bf78","text":"Our holiday","start":0,"end":2,"font_color":"#FFCC00","font":"Poppins_Regular"}','{"edit":{"place":{"track":{"name":"text_main","kind":"text","render_index":15000.0},"target":{"start":0,"duration":2000000},"content":{"text":{"text":"Our holiday","styles":[{"range":[0,11],"size":8.0,"color":[255,204,0],"alpha":1.0,"font":{"name":"Poppins-Regular","resource_id":"7202912523383738881"}}]}}}}}','{"draft_id":"dfd_cat_1795788159_9c95bf78","track":"text_main","segment_id":"3d8da7d9ba0f48c9ba828d73a2cd8c78","start":0.0,"end":2.0}',X'A7101516BADA4FA881E52D076CABEC6B',0);
INSERT INTO "calls" VALUES(4294967298,1795788160824,1,'add_image','{"draft_id":"dfd_cat_1795788159_9c95bf78","image_url":"https://media.invalid/a.png","start":0,"end":2}','{"edit":{"place":{"track":{"name":"image_main","kind":"video","render_index":0.0},"target":{"start":0,"duration":2000000},"content":{"picture":{"source":{"start":0,"duration":2000000},"speed":null,"volume":1.0}},"media":{"kind":"photo","source":"https://media.invalid/a.png","known":{"width":1920,"height":1080,"duration":0,"read":false}}}}}','{"draft_id":"dfd_cat_1795788159_9c95bf78","track":"image_main","segment_id":"d7cbf6155da84213af6851d60c1faa4f","start":0.0,"end":2.0}',X'F2FD8E77454446DEA2538ED342D0416E',0);
INSERT INTO "calls" VALUES(4294967299,1795788161494,1,'add_sticker','{"draft_id":"dfd_cat_1795788159_9c95bf78","sticker_id":"7132097333274250789","start":1,"end":2}','{"edit":{"place":{"track":{"name":"sticker_main","kind":"sticker","render_index":14000.0,"may_make_unnamed":true},"target":{"start":1000000,"duration":1000000},"content":{"sticker":{"material":{"resource_id":"7132097333274250789"}}}}}}','{"draft_id":"dfd_cat_1795788159_9c95bf78","track":"sticker_main","segment_id":"5356c1e782814269b065a593e1adcd0a","start":1.0,"end":2.0}',X'568F9978FE814EA3B9D925672E2CD74E',0);
INSERT INTO "calls" VALUES(4294967300,1795788161608,1,'add_video_keyframe','{"draft_id":"dfd_cat_1795788159_9c95bf78","track_name":"image_main","property_type":"alpha","value":"50%","time":0.5}','{"edit":{"keyframes":{"track":"image_main","points":[{"property":"alpha","time":500000,"value":0.5}]}}}','{"draft_id":"dfd_cat_1795788159_9c95bf78","track":"image_main","segment_id":"d7cbf6155da84213af6851d60c1faa4f","count":1}',X'95D0748C12F0490998335554F8D33D9F',0);
CREATE TABLE drafts (
        key          INTEGER PRIMARY KEY,
        origin       TEXT NOT NULL,
        id           TEXT NOT NULL,
        name         TEXT NOT NULL,
        edition      TEXT NOT NULL,
        reason       TEXT NOT NULL,
        created_ms   INTEGER NOT NULL,
        changed_ms   INTEGER NOT NULL,
        saved_to     TEXT,
        deleted_ms   INTEGER,
        moved_origin TEXT,
        moved_id     TEXT,
        UNIQUE (id, origin)
    );
INSERT INTO "drafts" VALUES(1,'engine','dfd_cat_1795788159_9c95bf78','Trip','capcut','',1795788159666,1795788159666,NULL,NULL,NULL,NULL);
CREATE TABLE jobs (
        id         TEXT PRIMARY KEY,
        kind       TEXT NOT NULL,
        draft      TEXT,
        state      TEXT NOT NULL,
        updated_ms INTEGER NOT NULL,
        finished   INTEGER NOT NULL,
        pid        INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE journal (id TEXT NOT NULL);
INSERT INTO "journal" VALUES('d6b2b72aacca8b0e5e967295b259f06a');
CREATE TABLE leases (
        key      TEXT PRIMARY KEY,
        holder   TEXT NOT NULL,
        until_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE INDEX internal_calls ON calls (place) WHERE internal;
PRAGMA user_version = 6;
